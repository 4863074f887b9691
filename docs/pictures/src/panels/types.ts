import { bargauge } from './bargauge';
import type { PanelType } from './panel';
import { stat } from './stat';
import { stateTimeline } from './state-timeline';
import { table } from './table';
import { text } from './text';
import { timeseries } from './timeseries';

export const TYPES: Record<string, PanelType | undefined> = { bargauge, stat, 'state-timeline': stateTimeline, table, text, timeseries };
