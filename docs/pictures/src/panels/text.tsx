import { renderTextPanelMarkdown } from '@grafana/data';
import type { PanelType } from './panel';

export const text: PanelType = {
  color: 'thresholds',
  custom: {},
  options: { mode: 'markdown', content: '' },
  ownNoData: true,
  draw: ({ options, height, interpolate }) => {
    const content = interpolate(String(options.content));
    return (
      <div
        className="markdown-html"
        style={{ height, overflow: 'hidden' }}
        dangerouslySetInnerHTML={{ __html: options.mode === 'html' ? content : renderTextPanelMarkdown(content) }}
      />
    );
  },
};
