import { getDisplayValueAlignmentFactors, getFieldDisplayValues, type DisplayValueAlignmentFactors, type FieldDisplay, VizOrientation } from '@grafana/data';
import { BarGauge, VizRepeater } from '@grafana/ui';
import type { PanelType } from './panel';

export const bargauge: PanelType = {
  color: 'thresholds',
  custom: {},
  options: {
    displayMode: 'gradient',
    valueMode: 'color',
    namePlacement: 'auto',
    showUnfilled: true,
    minVizWidth: 8,
    minVizHeight: 16,
    maxVizHeight: 300,
    orientation: VizOrientation.Auto,
    reduceOptions: { values: false, calcs: ['lastNotNull'], fields: '' },
  },
  draw: ({ frames, fieldConfig, options, width, height, timeZone, theme, interpolate }) => {
    const values = getFieldDisplayValues({
      data: frames,
      fieldConfig,
      reduceOptions: options.reduceOptions,
      replaceVariables: interpolate,
      timeZone,
      theme,
    });
    const spacing = options.displayMode === 'lcd' ? 2 : 10;
    return (
      <VizRepeater<FieldDisplay, DisplayValueAlignmentFactors>
        source={frames}
        getValues={() => values}
        getAlignmentFactors={getDisplayValueAlignmentFactors}
        renderCounter={0}
        orientation={options.orientation}
        itemSpacing={spacing}
        minVizWidth={options.minVizWidth}
        minVizHeight={options.minVizHeight}
        maxVizHeight={options.maxVizHeight}
        width={width}
        height={height}
        renderValue={({ value, alignmentFactors, orientation, width, height, count }) => (
          <BarGauge
            value={value.display}
            field={value.field}
            display={value.view?.getFieldDisplayProcessor(value.colIndex ?? 0)}
            text={options.text}
            alignmentFactors={count > 1 ? alignmentFactors : undefined}
            orientation={orientation}
            displayMode={options.displayMode}
            valueDisplayMode={options.valueMode}
            namePlacement={options.namePlacement}
            showUnfilled={options.showUnfilled}
            itemSpacing={spacing}
            lcdCellWidth={8}
            width={width}
            height={height}
            theme={theme}
          />
        )}
      />
    );
  },
};
