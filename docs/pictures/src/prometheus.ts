// Queries to Prometheus, and its answers as the data frames that Grafana's
// Prometheus data source makes of them.

import { createDataFrame, type DataFrame, FieldType, type Labels, type PartialDataFrame } from '@grafana/data';
import type { Target } from './model';

interface Series {
  metric: Labels;
  value?: [number, string];
  values?: Array<[number, string]>;
}

/** Seconds of a range query. */
export interface Window {
  from: number;
  to: number;
  step: number;
}

export async function ask<T>(path: string, parameters: Record<string, string | number>): Promise<T> {
  const query = new URLSearchParams(Object.entries(parameters).map(([name, value]) => [name, String(value)]));
  const response = await fetch(`/prometheus/api/v1/${path}?${query}`);
  const answer = await response.json().catch(() => undefined);
  if (answer?.status !== 'success') {
    throw new Error(answer?.error ?? `Prometheus answered with HTTP ${response.status}`);
  }
  return answer.data;
}

/** The frames of one target whose expression is interpolated already. */
export async function frames(target: Target, window: Window, severalTables: boolean): Promise<DataFrame[]> {
  const expr = target.expr ?? '';
  const found: DataFrame[] = [];
  if (target.range || !target.instant) {
    // Grafana aligns a range to its step, so that a reload gives the same points.
    const start = Math.floor(window.from / window.step) * window.step;
    const end = Math.floor(window.to / window.step) * window.step;
    const series = await matrix('query_range', { query: expr, start, end, step: window.step });
    found.push(...shaped(target, series, window.step, severalTables));
  }
  if (target.instant) {
    const series = await matrix('query', { query: expr, time: window.to });
    found.push(...shaped(target, series, undefined, severalTables));
  }
  return found;
}

async function matrix(path: string, parameters: Record<string, string | number>): Promise<Series[]> {
  const data = await ask<{ resultType: string; result: Series[] | [number, string] }>(path, parameters);
  if (data.resultType === 'scalar') {
    return [{ metric: {}, value: data.result as [number, string] }];
  }
  return data.result as Series[];
}

function shaped(target: Target, series: Series[], step: number | undefined, severalTables: boolean): DataFrame[] {
  if (target.format === 'heatmap') {
    throw new Error('a query with the format "heatmap" is not supported');
  }
  if (target.format === 'table') {
    return series.length === 0 ? [] : [table(target.refId, series, severalTables)];
  }
  return series.map((one) => timeSeries(target, one, step));
}

function points(series: Series): Array<[number, string]> {
  return series.values ?? (series.value ? [series.value] : []);
}

// JavaScript reads neither Prometheus's +Inf nor its -Inf.
function number(text: string): number {
  return Number(text.replace('Inf', 'Infinity'));
}

function timeSeries(target: Target, series: Series, step: number | undefined): DataFrame {
  const name = legend(target, series.metric);
  return createDataFrame({
    refId: target.refId,
    name,
    fields: [
      {
        name: 'Time',
        type: FieldType.time,
        // Tells the graph where a point is missing: it draws a gap there.
        config: step ? { interval: step * 1000 } : {},
        values: points(series).map(([time]) => time * 1000),
      },
      {
        name: 'Value',
        type: FieldType.number,
        labels: series.metric,
        config: { displayNameFromDS: name },
        values: points(series).map(([, value]) => number(value)),
      },
    ],
  } satisfies PartialDataFrame);
}

function table(refId: string, series: Series[], severalTables: boolean): DataFrame {
  const labels = [...new Set(series.flatMap((one) => Object.keys(one.metric)))].sort();
  const rows = series.flatMap((one) => points(one).map(([time, value]) => ({ one, time, value })));
  return createDataFrame({
    refId,
    fields: [
      { name: 'Time', type: FieldType.time, config: {}, values: rows.map(({ time }) => time * 1000) },
      ...labels.map((label) => ({
        name: label,
        type: FieldType.string,
        config: { filterable: true },
        values: rows.map(({ one }) => one.metric[label] ?? ''),
      })),
      {
        name: severalTables ? `Value #${refId}` : 'Value',
        type: FieldType.number,
        config: {},
        values: rows.map(({ value }) => number(value)),
      },
    ],
  });
}

/** A label that a series lacks is empty in its legend. */
function legend(target: Target, labels: Labels): string {
  const format = target.legendFormat;
  if (format === '__auto') {
    return Object.keys(labels).length > 0 ? '' : (target.expr ?? '');
  }
  if (format) {
    return format.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label: string) => labels[label] ?? '');
  }
  const { __name__: name = '', ...rest } = labels;
  const pairs = Object.entries(rest).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  return `${name}{${pairs.join(', ')}}`;
}
