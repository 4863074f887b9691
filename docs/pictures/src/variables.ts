// A dashboard's variables: their values, and expressions and texts with the values in them.

import { type Dashboard, type Order, Unsupported, type Variable } from './model';
import { ask } from './prometheus';

export interface Value {
  variable: Variable;
  /** One value, or several of a variable that allows it. */
  value: string | string[];
  text: string;
}

export type Values = Map<string, Value>;

/** The value of every variable, in their order: one may depend on those before it. */
export async function resolve(dashboard: Dashboard, order: Order): Promise<Values> {
  const values: Values = new Map();
  for (const variable of dashboard.templating?.list ?? []) {
    values.set(variable.name, await valueOf(variable, order, values));
  }
  return values;
}

async function valueOf(variable: Variable, order: Order, values: Values): Promise<Value> {
  const given = order.variables[variable.name];
  if (given !== undefined) {
    return { variable, value: given, text: given };
  }
  if (variable.type === 'datasource') {
    return { variable, value: 'prometheus', text: 'Prometheus' };
  }
  const current = variable.current?.value;
  if (variable.type !== 'query') {
    const first = String(variable.query ?? '').split(',')[0]?.trim() ?? '';
    const value = current ?? first;
    return { variable, value, text: [value].flat().join(' + ') };
  }
  const options = await queried(variable, values);
  if (variable.includeAll && (current === undefined || [current].flat().includes('$__all'))) {
    return { variable, value: variable.allValue || options, text: 'All' };
  }
  const first = options[0];
  if (first === undefined) {
    throw new Error(`the query of the variable ${variable.name} finds nothing; give one with --var ${variable.name}=…`);
  }
  return { variable, value: first, text: first };
}

async function queried(variable: Variable, values: Values): Promise<string[]> {
  const raw = typeof variable.query === 'string' ? variable.query : (variable.query?.query ?? variable.definition ?? '');
  const query = inExpression(raw, values, {});
  const match = /^label_values\(\s*(?:(.+?)\s*,\s*)?([a-zA-Z_]\w*)\s*\)$/s.exec(query);
  if (!match) {
    throw new Error(`the query of the variable ${variable.name} is not label_values(…): ${raw}`);
  }
  const [, selector, label] = match;
  const found = await ask<string[]>(`label/${label}/values`, selector ? { 'match[]': selector } : {});
  return variable.sort === 2 ? found.toSorted().reverse() : found.toSorted();
}

/** An expression with its variables replaced, as the Prometheus data source does. */
export function inExpression(expr: string, values: Values, builtIn: Record<string, string>): string {
  return replaced(expr, values, 'prometheus', builtIn);
}

/** A title, a legend or a link with its variables replaced. */
export function inText(text: string, values: Values): string {
  return replaced(text, values, 'text', {});
}

/** `$name`, `${name}`, `${name:format}` and `[[name]]`; what is not known stays. */
function replaced(text: string, values: Values, otherwise: string, builtIn: Record<string, string>): string {
  const reference = /\$(\w+)|\$\{(\w+)(?::(\w+))?\}|\[\[(\w+)(?::(\w+))?\]\]/g;
  return text.replace(reference, (whole, a, b, bFormat, c, cFormat) => {
    const name: string = a ?? b ?? c;
    if (Object.hasOwn(builtIn, name)) {
      return builtIn[name] as string;
    }
    const value = values.get(name);
    return value ? formatted(value, bFormat ?? cFormat ?? otherwise) : whole;
  });
}

function formatted({ variable, value, text }: Value, format: string): string {
  const list = [value].flat();
  switch (format) {
    case 'text':
      return text;
    case 'raw':
    case 'csv':
      return list.join(',');
    case 'pipe':
      return list.join('|');
    case 'queryparam':
      return list.map((one) => `var-${variable.name}=${encodeURIComponent(one)}`).join('&');
    case 'percentencode':
    case 'uriencode':
      return encodeURIComponent(list.join(','));
    case 'regex':
    case 'prometheus':
      return pattern(variable, value);
    default:
      throw new Unsupported(`the format \${${variable.name}:${format}}`);
  }
}

function pattern(variable: Variable, value: string | string[]): string {
  // An allValue is a pattern of its own; a plain variable is compared with =.
  if (typeof value === 'string' && (value === variable.allValue || !(variable.multi || variable.includeAll))) {
    return value;
  }
  const patterns = [value].flat().map((one) => one.replace(/[\\^$.*+?()[\]{}|']/g, '\\\\$&'));
  return patterns.length === 1 ? (patterns[0] as string) : `(${patterns.join('|')})`;
}
