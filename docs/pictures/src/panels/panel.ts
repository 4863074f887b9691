// What a panel type is: its defaults in Grafana, and how it is drawn.

import type { DataFrame, FieldConfigSource, GrafanaTheme2, InterpolateFunction, TimeRange } from '@grafana/data';
import type { ReactNode } from 'react';

export interface Drawing {
  frames: DataFrame[];
  fieldConfig: FieldConfigSource;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  options: Record<string, any>;
  width: number;
  height: number;
  range: TimeRange;
  timeZone: string;
  theme: GrafanaTheme2;
  interpolate: InterpolateFunction;
}

export interface PanelType {
  color: string;
  custom: Record<string, unknown>;
  options: Record<string, unknown>;
  /** Says "No data" itself, in its own manner. */
  ownNoData?: boolean;
  /** No component of Grafana's draws it: ours does. */
  ours?: string;
  draw: (drawing: Drawing) => ReactNode;
}
