// Field configuration: the standard options and those of a panel type, which
// Grafana itself registers and the packages only apply.

import {
  booleanOverrideProcessor,
  dataLinksOverrideProcessor,
  displayNameOverrideProcessor,
  type Field,
  type FieldConfigPropertyItem,
  FieldConfigOptionsRegistry,
  type FieldConfigSource,
  FieldType,
  identityOverrideProcessor,
  numberOverrideProcessor,
  stringOverrideProcessor,
  ThresholdsMode,
  thresholdsOverrideProcessor,
  valueMappingsOverrideProcessor,
} from '@grafana/data';
import { Unsupported } from './model';

type Process = FieldConfigPropertyItem['process'];

const always = () => true;
const numbers = (field: Field) => field.type === FieldType.number;
const STANDARD: Record<string, [Process, (field: Field) => boolean]> = {
  unit: [stringOverrideProcessor, always],
  min: [numberOverrideProcessor, numbers],
  max: [numberOverrideProcessor, numbers],
  fieldMinMax: [booleanOverrideProcessor, numbers],
  decimals: [numberOverrideProcessor, numbers],
  displayName: [displayNameOverrideProcessor, always],
  color: [identityOverrideProcessor, always],
  noValue: [stringOverrideProcessor, always],
  links: [dataLinksOverrideProcessor, always],
  mappings: [valueMappingsOverrideProcessor, (field) => field.type !== FieldType.time],
  thresholds: [thresholdsOverrideProcessor, always],
  filterable: [booleanOverrideProcessor, always],
};

/** A registry that knows the standard options and every custom one that the panel sets. */
export function registry(source: FieldConfigSource): FieldConfigOptionsRegistry {
  const custom = new Set(Object.keys(source.defaults.custom ?? {}).map((name) => `custom.${name}`));
  for (const { id } of source.overrides.flatMap((rule) => rule.properties)) {
    if (id.startsWith('custom.')) {
      custom.add(id);
    } else if (!Object.hasOwn(STANDARD, id)) {
      throw new Unsupported(`an override of ${id}`);
    }
  }
  const items = Object.entries(STANDARD).map(([id, [process, shouldApply]]) => item(id, id, false, process, shouldApply));
  const ofPanel = [...custom].map((id) => item(id, id.slice('custom.'.length), true, identityOverrideProcessor, always));
  return new FieldConfigOptionsRegistry(() => [...items, ...ofPanel]);
}

function item(
  id: string,
  path: string,
  isCustom: boolean,
  process: Process,
  shouldApply: (field: Field) => boolean
): FieldConfigPropertyItem {
  const none = () => null;
  return { id, path, name: id, isCustom, process, shouldApply, editor: none, override: none } as FieldConfigPropertyItem;
}

/** The panel's configuration over the defaults that Grafana fills in when a dashboard is loaded. */
export function withDefaults(
  source: Partial<FieldConfigSource> | undefined,
  ofType: { color: string; custom: Record<string, unknown> }
): FieldConfigSource {
  const { defaults = {}, overrides = [] } = withInfinity(source ?? {});
  return {
    defaults: {
      color: { mode: ofType.color },
      thresholds: {
        mode: ThresholdsMode.Absolute,
        // Grafana's own default: a dashboard that sets none turns red from 80 on.
        steps: [
          { value: -Infinity, color: 'green' },
          { value: 80, color: 'red' },
        ],
      },
      mappings: [],
      ...defaults,
      custom: { ...ofType.custom, ...defaults.custom },
    },
    overrides,
  };
}

/** JSON has no infinity: the lowest threshold is null there. */
function withInfinity(source: Partial<FieldConfigSource>): Partial<FieldConfigSource> {
  return JSON.parse(JSON.stringify(source), (key, value) => {
    if (key === 'steps' && Array.isArray(value) && value[0]?.value == null) {
      return value.map((step, index) => (index === 0 ? { ...step, value: -Infinity } : step));
    }
    return value;
  });
}
