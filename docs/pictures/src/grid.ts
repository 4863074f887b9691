// Grafana's grid of 24 columns, in pixels.

import type { Panel } from './model';

const COLUMNS = 24;
const CELL_HEIGHT = 30;
const GAP = 8;

export interface Place {
  left: number;
  top: number;
  width: number;
  height: number;
}

export function place({ x, y, w, h }: Panel['gridPos'], width: number): Place {
  const column = (width - GAP * (COLUMNS - 1)) / COLUMNS;
  return {
    left: x * (column + GAP),
    top: y * (CELL_HEIGHT + GAP),
    width: w * column + (w - 1) * GAP,
    height: h * CELL_HEIGHT + (h - 1) * GAP,
  };
}

/** Panels of rows that were saved collapsed, each row opened and what is below it moved down. */
export function opened(panels: Panel[]): Panel[] {
  const placed: Panel[] = [];
  let moved = 0;
  const inOrder = panels.toSorted((a, b) => a.gridPos.y - b.gridPos.y || a.gridPos.x - b.gridPos.x);
  for (const panel of inOrder) {
    placed.push(down(panel, moved));
    const inside = panel.type === 'row' && panel.collapsed ? (panel.panels ?? []) : [];
    if (inside.length > 0) {
      const top = Math.min(...inside.map(({ gridPos }) => gridPos.y));
      const bottom = Math.max(...inside.map(({ gridPos }) => gridPos.y + gridPos.h));
      const first = panel.gridPos.y + moved + 1;
      placed.push(...inside.map((one) => down(one, first - top)));
      moved += bottom - top;
    }
  }
  return placed;
}

function down(panel: Panel, by: number): Panel {
  return { ...panel, gridPos: { ...panel.gridPos, y: panel.gridPos.y + by } };
}
