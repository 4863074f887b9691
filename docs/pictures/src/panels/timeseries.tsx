import { applyNullInsertThreshold } from '@grafana/data';
import { TimeSeries } from '@grafana/ui';
import type { Drawing, PanelType } from './panel';

export const timeseries: PanelType = {
  color: 'palette-classic',
  custom: {
    drawStyle: 'line',
    lineInterpolation: 'linear',
    lineWidth: 1,
    fillOpacity: 0,
    gradientMode: 'none',
    spanNulls: false,
    showPoints: 'auto',
    pointSize: 5,
    stacking: { mode: 'none', group: 'A' },
    axisPlacement: 'auto',
    axisLabel: '',
    axisColorMode: 'text',
    axisBorderShow: false,
    axisCenteredZero: false,
    scaleDistribution: { type: 'linear' },
    thresholdsStyle: { mode: 'off' },
    hideFrom: { legend: false, tooltip: false, viz: false },
    barAlignment: 0,
    barWidthFactor: 0.6,
  },
  options: {
    legend: { showLegend: true, displayMode: 'list', placement: 'bottom', calcs: [] },
  },
  draw: ({ frames, options, width, height, range, timeZone, theme }) => (
    <TimeSeries
      frames={withGaps(frames, range)}
      timeRange={range}
      timeZone={timeZone}
      legend={{ ...timeseries.options.legend as object, ...options.legend }}
      options={options}
      width={width}
      height={height}
      // @ts-expect-error The component takes the theme from its context; its type names it all the same.
      theme={theme}
    />
  ),
};

/** The component would do it itself, but forgets it when it is drawn a second time. */
function withGaps(frames: Drawing['frames'], range: Drawing['range']): Drawing['frames'] {
  const [refFieldPseudoMin, refFieldPseudoMax] = [range.from.valueOf(), range.to.valueOf()];
  return frames.map((frame) => applyNullInsertThreshold({ frame, refFieldPseudoMin, refFieldPseudoMax }));
}
