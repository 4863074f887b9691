// Grafana's state timeline is part of Grafana itself and of no package, so the
// bands are ours; colours, texts, legend and their layout are Grafana's.

import {
  applyNullInsertThreshold,
  colorManipulator,
  type DataFrame,
  dateTimeFormat,
  type DisplayValue,
  type Field,
  FieldType,
  formattedValueToString,
  getFieldDisplayName,
  getTimeField,
} from '@grafana/data';
import { LegendDisplayMode } from '@grafana/schema';
import { measureText, VizLayout, VizLegend } from '@grafana/ui';
import type { Drawing, PanelType } from './panel';

const AXIS_HEIGHT = 22;
const FONT_SIZE = 12;
/** Between two ticks of the time axis, in pixels, at least. */
const TICK_DISTANCE = 90;
const MINUTE = 60_000;
const TICKS = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10_080].map((minutes) => minutes * MINUTE);

interface Band {
  from: number;
  to: number;
  shown: DisplayValue;
}

interface Row {
  name: string;
  bands: Band[];
}

export const stateTimeline: PanelType = {
  color: 'thresholds',
  custom: { fillOpacity: 70, lineWidth: 0 },
  options: { mergeValues: true, showValue: 'auto', rowHeight: 0.9, legend: { showLegend: true, placement: 'bottom' } },
  ours: 'bands drawn by our own component',
  draw: (drawing) => {
    const rows = drawing.frames.flatMap((frame) => rowsOf(frame, drawing));
    return (
      <VizLayout width={drawing.width} height={drawing.height} legend={legend(rows, drawing)}>
        {(width, height) => <Bands rows={rows} drawing={{ ...drawing, width, height }} />}
      </VizLayout>
    );
  },
};

function rowsOf(frame: DataFrame, drawing: Drawing): Row[] {
  const whole = applyNullInsertThreshold({ frame, refFieldPseudoMax: drawing.range.to.valueOf() });
  const { timeField } = getTimeField(whole);
  if (!timeField) {
    return [];
  }
  return whole.fields
    .filter(({ type }) => type !== FieldType.time)
    .map((field) => ({ name: getFieldDisplayName(field, frame, drawing.frames), bands: bands(timeField, field, drawing) }));
}

function bands(time: Field, field: Field, { range, options }: Drawing): Band[] {
  const found: Band[] = [];
  let last: { value: unknown; band: Band } | undefined;
  field.values.forEach((value, index) => {
    const from = time.values[index];
    const to = Math.min(from + (time.config.interval ?? 0), range.to.valueOf());
    if (value == null || !field.display) {
      last = undefined;
    } else if (last && options.mergeValues && last.value === value) {
      last.band.to = to;
    } else {
      last = { value, band: { from, to, shown: field.display(value) } };
      found.push(last.band);
    }
  });
  return found;
}

function legend(rows: Row[], { options }: Drawing) {
  const { showLegend = true, displayMode = 'list', placement = 'bottom' } = options.legend ?? {};
  if (!showLegend || displayMode === 'hidden') {
    return null;
  }
  const shown = new Map(rows.flatMap(({ bands }) => bands.map(({ shown }) => [formattedValueToString(shown), shown.color])));
  const items = [...shown].map(([label, color]) => ({ label, color, yAxis: 1 }));
  return (
    <VizLayout.Legend placement={placement}>
      <VizLegend items={items} placement={placement} displayMode={LegendDisplayMode.List} />
    </VizLayout.Legend>
  );
}

function Bands({ rows, drawing }: { rows: Row[]; drawing: Drawing }) {
  const { width, height, range, options, theme, timeZone } = drawing;
  const [from, to] = [range.from.valueOf(), range.to.valueOf()];
  const left = Math.max(...rows.map(({ name }) => measureText(name, FONT_SIZE).width), 0) + 10;
  const rowHeight = (height - AXIS_HEIGHT) / rows.length;
  const x = (time: number) => left + ((Math.max(time, from) - from) / (to - from)) * (width - left);
  const every = TICKS.find((tick) => (tick / (to - from)) * (width - left) >= TICK_DISTANCE) ?? to - from;
  const ticks = [];
  for (let tick = Math.ceil(from / every) * every; tick <= to; tick += every) {
    ticks.push(tick);
  }
  const format = every < 1440 * MINUTE ? 'HH:mm' : 'MM/DD';
  return (
    <svg width={width} height={height} fontSize={FONT_SIZE} fontFamily="Inter" letterSpacing={0} fill={theme.colors.text.primary}>
      {ticks.map((tick) => (
        <g key={tick}>
          <line x1={x(tick)} x2={x(tick)} y1={0} y2={height - AXIS_HEIGHT} stroke={theme.colors.border.weak} />
          <text x={x(tick)} y={height - 4} textAnchor={x(tick) > width - 20 ? 'end' : 'middle'}>
            {dateTimeFormat(tick, { format, timeZone })}
          </text>
        </g>
      ))}
      {rows.map(({ name, bands }, index) => {
        const middle = rowHeight * (index + 0.5);
        const thick = rowHeight * options.rowHeight;
        return (
          <g key={index}>
            <text x={left - 10} y={middle} textAnchor="end" dominantBaseline="central">
              {name}
            </text>
            {bands.map((band) => (
              <BandShape
                key={band.from}
                {...band}
                x={x(band.from)}
                y={middle - thick / 2}
                width={x(band.to) - x(band.from)}
                height={thick}
                drawing={drawing}
              />
            ))}
          </g>
        );
      })}
    </svg>
  );
}

interface BandProps extends Band {
  x: number;
  y: number;
  width: number;
  height: number;
  drawing: Drawing;
}

function BandShape({ shown, x, y, width, height, drawing: { options, fieldConfig, theme } }: BandProps) {
  const text = formattedValueToString(shown);
  const color = shown.color ?? theme.colors.text.disabled;
  const opacity = (fieldConfig.defaults.custom?.fillOpacity ?? 70) / 100;
  const fits = measureText(text, FONT_SIZE).width + 8 < width && height > FONT_SIZE;
  return (
    <g>
      <rect x={x} y={y} width={Math.max(width, 1)} height={height} fill={colorManipulator.alpha(color, opacity)} />
      {options.showValue !== 'never' && fits && (
        <text x={x + 4} y={y + height / 2} dominantBaseline="central">
          {text}
        </text>
      )}
    </g>
  );
}
