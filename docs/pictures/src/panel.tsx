// One panel in its place: its frame, and in it the drawing, or why there is none.

import { EventBusSrv, type GrafanaTheme2 } from '@grafana/data';
import { Icon, PanelChrome, PanelContextProvider } from '@grafana/ui';
import { Component, type CSSProperties, type ReactNode } from 'react';
import { hasData, prepare, type Surroundings } from './data';
import type { Place } from './grid';
import { type Panel, type Report, Unsupported } from './model';
import type { Drawing } from './panels/panel';
import { TYPES } from './panels/types';
import { inText } from './variables';

/** What PanelChrome takes for its header, border and padding. */
const INSIDE = { width: 18, height: 50 };

export interface Prepared {
  panel: Panel;
  place: Place;
  title: string;
  report: Report;
  drawing?: Drawing;
}

/** Never fails: what keeps a panel from being drawn is in its report. */
export async function prepared(panel: Panel, place: Place, surroundings: Surroundings): Promise<Prepared> {
  const title = inText(panel.title ?? '', surroundings.values);
  const report: Report = { title, type: panel.type, outcome: 'drawn', notes: [] };
  if (panel.type === 'row') {
    return { panel, place, title, report };
  }
  try {
    const type = TYPES[panel.type];
    if (!type) {
      throw new Unsupported(`the panel type ${panel.type}`);
    }
    if (type.ours) {
      report.notes.push(type.ours);
    }
    if (panel.transformations?.some(({ id }) => id === 'timeSeriesTable')) {
      report.notes.push('transformed by our own Time series to table');
    }
    const [width, height] = [place.width - INSIDE.width, place.height - INSIDE.height];
    const drawing = await prepare(panel, type, surroundings, width, height);
    if (panel.targets?.length && !hasData(drawing)) {
      report.outcome = 'no data';
    }
    return { panel, place, title, report, drawing };
  } catch (error) {
    report.outcome = error instanceof Unsupported ? 'not drawn' : 'failed';
    report.notes.push(error instanceof Error ? error.message : String(error));
    return { panel, place, title, report };
  }
}

export function DrawnPanel({ panel, place, title, report, drawing, theme }: Prepared & { theme: GrafanaTheme2 }) {
  const style: CSSProperties = { position: 'absolute', ...place };
  if (panel.type === 'row') {
    return (
      <div style={{ ...style, display: 'flex', alignItems: 'center', gap: 8 }} data-panel={title}>
        <Icon name="angle-down" />
        <span style={{ fontWeight: 500 }}>{title}</span>
      </div>
    );
  }
  return (
    <div style={style} data-panel={title}>
      <PanelContextProvider value={{ eventsScope: 'picture', eventBus: new EventBusSrv() }}>
        <PanelChrome
          title={title}
          description={panel.description}
          displayMode={panel.transparent ? 'transparent' : 'default'}
          width={place.width}
          height={place.height}
        >
          {(width, height) => (
            <Caught report={report} theme={theme}>
              {body(report, drawing && { ...drawing, width, height }, panel, theme)}
            </Caught>
          )}
        </PanelChrome>
      </PanelContextProvider>
    </div>
  );
}

function body(report: Report, drawing: Drawing | undefined, panel: Panel, theme: GrafanaTheme2): ReactNode {
  const type = TYPES[panel.type];
  if (!drawing || !type) {
    return <Message theme={theme}>{`Not drawn: ${report.notes.join('; ')}`}</Message>;
  }
  if (report.outcome === 'no data' && !type.ownNoData) {
    return <Message theme={theme}>{drawing.fieldConfig.defaults.noValue ?? 'No data'}</Message>;
  }
  return type.draw(drawing);
}

function Message({ theme, children }: { theme: GrafanaTheme2; children: string }) {
  const style: CSSProperties = {
    display: 'flex',
    height: '100%',
    alignItems: 'center',
    justifyContent: 'center',
    textAlign: 'center',
    color: theme.colors.text.secondary,
  };
  return <div style={style}>{children}</div>;
}

interface CaughtProps {
  report: Report;
  theme: GrafanaTheme2;
  children: ReactNode;
}

/** One component that fails must not take the others with it, nor go unnoticed. */
class Caught extends Component<CaughtProps, { error?: Error }> {
  state: { error?: Error } = {};

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  componentDidCatch(error: Error) {
    this.props.report.outcome = 'failed';
    this.props.report.notes.push(error.message);
  }

  render() {
    return this.state.error ? (
      <Message theme={this.props.theme}>{`Not drawn: ${this.state.error.message}`}</Message>
    ) : (
      this.props.children
    );
  }
}
