// The parts of Grafana's classic dashboard model that are drawn, and what the
// driver and the page tell each other.

import type { DataTransformerConfig, FieldConfigSource } from '@grafana/data';

export interface Dashboard {
  uid?: string;
  title: string;
  timezone?: string;
  panels: Panel[];
  templating?: { list?: Variable[] };
}

export interface Panel {
  id?: number;
  type: string;
  title?: string;
  description?: string;
  transparent?: boolean;
  collapsed?: boolean;
  panels?: Panel[];
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: Target[];
  transformations?: DataTransformerConfig[];
  fieldConfig?: Partial<FieldConfigSource>;
  options?: Record<string, unknown>;
  interval?: string | null;
  maxDataPoints?: number | null;
  timeFrom?: string | null;
  timeShift?: string | null;
  repeat?: string | null;
}

export interface Target {
  refId: string;
  expr?: string;
  hide?: boolean;
  instant?: boolean;
  range?: boolean;
  format?: 'time_series' | 'table' | 'heatmap';
  legendFormat?: string;
  interval?: string;
  intervalFactor?: number;
}

export interface Variable {
  name: string;
  label?: string | null;
  type: string;
  query?: string | { query?: string };
  definition?: string;
  regex?: string;
  sort?: number;
  hide?: number;
  multi?: boolean;
  includeAll?: boolean;
  allValue?: string | null;
  current?: { value?: string | string[] };
}

/** What the driver puts in the page before it loads. */
export interface Order {
  dashboard: Dashboard;
  theme: 'dark' | 'light';
  width: number;
  from: string;
  to: string;
  scrapeInterval: string;
  variables: Record<string, string>;
}

export type Outcome = 'drawn' | 'no data' | 'not drawn' | 'failed';

/** What the page reports of each panel, once it stands. */
export interface Report {
  title: string;
  type: string;
  outcome: Outcome;
  notes: string[];
}

declare global {
  interface Window {
    order: Order;
    /** Set when the picture can be taken, or when there will be none. */
    finished?: { panels: Report[] } | { error: string };
    __grafana_public_path__?: string;
  }
}

/** The panel asks for something that these components cannot draw. */
export class Unsupported extends Error {}
