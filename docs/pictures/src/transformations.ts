// A panel's transformations, by Grafana's own transformers as far as they are
// in its packages.

import {
  type DataFrame,
  type DataTransformerConfig,
  getFrameMatchers,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
} from '@grafana/data';
import { lastValueFrom } from 'rxjs';
import { Unsupported } from './model';
import { timeSeriesTable } from './time-series-table';

// One of them is listed under an older name, too.
const known = new Map(Object.values(standardTransformers).map((transformer) => [transformer.id, transformer]));

standardTransformersRegistry.setInit(() =>
  [...known.values()].map((transformer) => ({
    id: transformer.id,
    name: transformer.name,
    transformation: () => Promise.resolve(transformer),
    editor: () => null,
    imageDark: '',
    imageLight: '',
  }))
);

export async function transformed(
  frames: DataFrame[],
  steps: DataTransformerConfig[],
  interpolate: (text: string) => string
): Promise<DataFrame[]> {
  let result = frames;
  for (const step of steps.filter(({ disabled }) => !disabled)) {
    if (step.id === 'timeSeriesTable') {
      const wanted = step.filter?.options ? getFrameMatchers(step.filter) : () => true;
      const [taken, left] = [result.filter(wanted), result.filter((frame) => !wanted(frame))];
      result = [...left, ...timeSeriesTable(taken, step.options)];
    } else if (known.has(step.id)) {
      result = await lastValueFrom(transformDataFrame([step], result, { interpolate }));
    } else {
      // transformDataFrame would pass over it in silence.
      throw new Unsupported(`the transformation ${step.id}`);
    }
  }
  return result;
}
