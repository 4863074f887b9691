// The page that the driver takes a picture of: one dashboard, in full.

import { createTheme, type GrafanaTheme2, rangeUtil, ThemeContext } from '@grafana/data';
import { initPluginTranslations } from '@grafana/i18n';
import { GlobalStyles, Icon } from '@grafana/ui';
import type { ReactNode } from 'react';
import { flushSync } from 'react-dom';
import { createRoot } from 'react-dom/client';
import type { Surroundings } from './data';
import { opened, place } from './grid';
import type { Order, Report } from './model';
import { DrawnPanel, prepared, type Prepared } from './panel';
import { resolve, type Values } from './variables';

const PADDING = 16;
/** By what a crop takes the head in. */
const HEADER = 'header';

async function main(order: Order): Promise<Report[]> {
  window.__grafana_public_path__ = '/public/';
  await initPluginTranslations('grafana');
  const theme = createTheme({ colors: { mode: order.theme } });
  const timeZone = order.dashboard.timezone || 'utc';
  const values = await resolve(order.dashboard, order);
  const range = rangeUtil.convertRawToRange({ from: order.from, to: order.to }, timeZone);
  const surroundings: Surroundings = { order, values, range, timeZone, theme };
  const width = order.width - 2 * PADDING;
  const panels: Prepared[] = [];
  for (const panel of opened(order.dashboard.panels)) {
    panels.push(await prepared(panel, place(panel.gridPos, width), surroundings));
  }
  const root = createRoot(document.getElementById('dashboard') as HTMLElement);
  const themed = (content?: ReactNode) => (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      {content}
    </ThemeContext.Provider>
  );
  // Text is measured before it is drawn: with another font it would not fit.
  // Grafana's styles, which name the fonts, must be there before these can load.
  flushSync(() => root.render(themed()));
  await Promise.all(['400 14px Inter', '500 14px Inter'].map((font) => document.fonts.load(font)));
  root.render(
    themed(
      <>
        <Head order={order} values={values} range={rangeUtil.describeTimeRange(range.raw)} theme={theme} />
        <main style={{ position: 'relative', margin: PADDING, height: bottom(panels) }}>
          {panels.map((panel, index) => (
            <DrawnPanel key={index} {...panel} theme={theme} />
          ))}
        </main>
      </>
    )
  );
  await settled();
  return panels.map(({ report }) => report).filter(({ type }) => type !== 'row');
}

interface HeadProps {
  order: Order;
  values: Values;
  range: string;
  theme: GrafanaTheme2;
}

/** The dashboard's title, its variables and its time: ours, in Grafana's manner. */
function Head({ order, values, range, theme }: HeadProps) {
  const box = {
    display: 'inline-flex',
    alignItems: 'center',
    gap: 6,
    padding: '4px 8px',
    borderRadius: theme.shape.radius.default,
    border: `1px solid ${theme.colors.border.weak}`,
    background: theme.colors.background.secondary,
  };
  const shown = [...values.values()].filter(({ variable }) => variable.hide !== 2 && variable.type !== 'datasource');
  return (
    <header data-panel={HEADER} style={{ display: 'flex', alignItems: 'center', gap: 12, padding: `12px ${PADDING}px 0` }}>
      <strong style={{ fontSize: theme.typography.h4.fontSize, fontWeight: 500 }}>{order.dashboard.title}</strong>
      {shown.map(({ variable, text }) => (
        <span key={variable.name} style={box}>
          <span style={{ color: theme.colors.text.secondary }}>{variable.label || variable.name}</span>
          {text}
        </span>
      ))}
      <span style={{ ...box, marginLeft: 'auto' }}>
        <Icon name="clock-nine" />
        {range}
      </span>
    </header>
  );
}

function bottom(panels: Prepared[]): number {
  return Math.max(0, ...panels.map(({ place }) => place.top + place.height));
}

/** Graphs are drawn in the frames after the one that places them, and icons are fetched. */
async function settled(): Promise<void> {
  await document.fonts.ready;
  await new Promise((done) => setTimeout(done, 1500));
}

main(window.order).then(
  (panels) => (window.finished = { panels }),
  (error: unknown) => (window.finished = { error: error instanceof Error ? error.message : String(error) })
);
