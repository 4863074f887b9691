// The transformation "Time series to table". It is part of Grafana itself and
// of no package, so this is ours: a row for each series, its labels as columns,
// and the series whole in a last column, for a sparkline.

import { createDataFrame, type DataFrame, type Field, FieldType, getTimeField, ReducerID, reduceField } from '@grafana/data';

export type Options = Record<string, { stat?: ReducerID } | undefined>;

export function timeSeriesTable(frames: DataFrame[], options: Options): DataFrame[] {
  const byQuery = Map.groupBy(frames, ({ refId }) => refId ?? '');
  return [...byQuery].map(([refId, series]) => table(refId, series, options[refId]?.stat ?? ReducerID.lastNotNull));
}

function table(refId: string, frames: DataFrame[], stat: ReducerID): DataFrame {
  const series = frames.flatMap((frame) => {
    const { timeField } = getTimeField(frame);
    const values = frame.fields.filter(({ type }) => type === FieldType.number);
    return timeField ? values.map((value) => ({ time: timeField, value })) : [];
  });
  const labels = [...new Set(series.flatMap(({ value }) => Object.keys(value.labels ?? {})))];
  return createDataFrame({
    refId,
    fields: [
      ...labels.map((label) => ({
        name: label,
        type: FieldType.string,
        values: series.map(({ value }) => value.labels?.[label] ?? ''),
      })),
      {
        name: `Trend #${refId}`,
        type: FieldType.frame,
        values: series.map(({ time, value }) => trend(time, value, stat)),
      },
    ],
  });
}

/** A series with the number that the cell shows beside its line. */
function trend(time: Field, value: Field, stat: ReducerID): DataFrame & { value: unknown } {
  return {
    fields: [time, value],
    length: value.values.length,
    value: reduceField({ field: value, reducers: [stat] })[stat] ?? null,
  };
}
