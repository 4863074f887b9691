// From a panel of the dashboard to all that its drawing needs.

import { applyFieldOverrides, type DataFrame, type GrafanaTheme2, rangeUtil, type TimeRange } from '@grafana/data';
import { registry, withDefaults } from './fields';
import { interval } from './interval';
import { type Order, type Panel, Unsupported } from './model';
import type { Drawing, PanelType } from './panels/panel';
import { frames } from './prometheus';
import { transformed } from './transformations';
import { inExpression, inText, type Values } from './variables';

export interface Surroundings {
  order: Order;
  values: Values;
  range: TimeRange;
  timeZone: string;
  theme: GrafanaTheme2;
}

/** Asks Prometheus for the panel's data and gives it the form that the components read. */
export async function prepare(
  panel: Panel,
  type: PanelType,
  { order, values, range: whole, timeZone, theme }: Surroundings,
  width: number,
  height: number
): Promise<Drawing> {
  if (panel.repeat || panel.timeShift) {
    throw new Unsupported(panel.repeat ? 'repeating a panel' : 'shifting the time of a panel');
  }
  const range = panel.timeFrom
    ? rangeUtil.convertRawToRange({ from: `now-${panel.timeFrom}`, to: 'now' })
    : whole;
  const answers: DataFrame[] = [];
  const targets = (panel.targets ?? []).filter(({ expr, hide }) => expr && !hide);
  const severalTables = targets.filter(({ format }) => format === 'table').length > 1;
  for (const target of targets) {
    const { window, variables } = interval(panel, target, range, width, order.scrapeInterval);
    const expr = inExpression(target.expr ?? '', values, variables);
    const legendFormat = target.legendFormat && inText(target.legendFormat, values);
    answers.push(...(await frames({ ...target, expr, legendFormat }, window, severalTables)));
  }
  const interpolate = (text: string) => inText(text, values);
  const fieldConfig = withDefaults(panel.fieldConfig, type);
  const series = await transformed(answers, panel.transformations ?? [], interpolate);
  const frame = applyFieldOverrides({
    data: series,
    fieldConfig,
    fieldConfigRegistry: registry(fieldConfig),
    replaceVariables: interpolate,
    timeZone,
    theme,
  });
  return {
    frames: frame,
    fieldConfig,
    options: { ...type.options, ...panel.options },
    width,
    height,
    range,
    timeZone,
    theme,
    interpolate,
  };
}

export function hasData({ frames }: Drawing): boolean {
  return frames.some((frame) => frame.length > 0 && frame.fields.some(({ values }) => values.some((value) => value != null)));
}
