import { cacheFieldDisplayNames } from '@grafana/data';
import { TableNG } from '@grafana/ui/unstable';
import type { PanelType } from './panel';

export const table: PanelType = {
  color: 'thresholds',
  custom: { align: 'auto', inspect: false, cellOptions: { type: 'auto' } },
  options: { showHeader: true, cellHeight: 'sm', frameIndex: 0, sortBy: [] },
  draw: ({ frames, fieldConfig, options, width, height, range }) => {
    // The component reads names from the cache only.
    cacheFieldDisplayNames(frames);
    const frame = frames[options.frameIndex] ?? frames[0];
    return frame ? (
      <TableNG
        data={frame}
        fieldConfig={fieldConfig}
        sortBy={options.sortBy}
        cellHeight={options.cellHeight}
        noHeader={!options.showHeader}
        timeRange={range}
        enableVirtualization={false}
        width={width}
        height={height}
      />
    ) : null;
  },
};
