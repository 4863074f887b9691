// The step of a panel's queries and Grafana's variables that depend on it.

import { rangeUtil, type TimeRange } from '@grafana/data';
import type { Panel, Target } from './model';
import type { Window } from './prometheus';

/** Prometheus refuses a range of more points. */
const MOST_POINTS = 11_000;

export interface Interval {
  window: Window;
  variables: Record<string, string>;
}

export function interval(panel: Panel, target: Target, range: TimeRange, width: number, scrape: string): Interval {
  const from = range.from.valueOf() / 1000;
  const to = range.to.valueOf() / 1000;
  const points = panel.maxDataPoints ?? Math.max(1, Math.floor(width));
  const least = target.interval || panel.interval || scrape;
  const minimum = rangeUtil.intervalToSeconds(least.replace(/^>/, '')) || 1;
  const rounded = rangeUtil.roundInterval(((to - from) * 1000) / points) / 1000;
  const step = Math.max(minimum, rounded, Math.ceil((to - from) / MOST_POINTS)) * (target.intervalFactor ?? 1);
  const scrapeSeconds = rangeUtil.intervalToSeconds(scrape);
  const rate = Math.max(step + scrapeSeconds, 4 * scrapeSeconds);
  const seconds = Math.round(to - from);
  return {
    window: { from, to, step },
    variables: {
      __interval: `${step}s`,
      __interval_ms: String(step * 1000),
      __rate_interval: `${rate}s`,
      __range: `${seconds}s`,
      __range_s: String(seconds),
      __range_ms: String(seconds * 1000),
      __from: String(range.from.valueOf()),
      __to: String(range.to.valueOf()),
    },
  };
}
