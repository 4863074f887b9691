import { getDisplayValueAlignmentFactors, getFieldDisplayValues, type FieldDisplay, type DisplayValueAlignmentFactors, VizOrientation } from '@grafana/data';
import { BigValue, VizRepeater } from '@grafana/ui';
import type { PanelType } from './panel';

export const stat: PanelType = {
  color: 'thresholds',
  custom: {},
  options: {
    graphMode: 'area',
    colorMode: 'value',
    justifyMode: 'auto',
    textMode: 'auto',
    wideLayout: true,
    showPercentChange: false,
    percentChangeColorMode: 'standard',
    orientation: VizOrientation.Auto,
    reduceOptions: { values: false, calcs: ['lastNotNull'], fields: '' },
  },
  ownNoData: true,
  draw: ({ frames, fieldConfig, options, width, height, timeZone, theme, interpolate }) => {
    const values = getFieldDisplayValues({
      data: frames,
      fieldConfig,
      reduceOptions: options.reduceOptions,
      replaceVariables: interpolate,
      sparkline: options.graphMode !== 'none',
      percentChange: options.showPercentChange,
      timeZone,
      theme,
    });
    return (
      <VizRepeater<FieldDisplay, DisplayValueAlignmentFactors>
        source={frames}
        getValues={() => values}
        getAlignmentFactors={getDisplayValueAlignmentFactors}
        renderCounter={0}
        orientation={options.orientation}
        itemSpacing={3}
        autoGrid
        width={width}
        height={height}
        renderValue={({ value, alignmentFactors, width, height, count }) => (
          <BigValue
            value={value.display}
            sparkline={value.sparkline}
            count={count}
            alignmentFactors={alignmentFactors}
            colorMode={options.colorMode}
            graphMode={options.graphMode}
            justifyMode={options.justifyMode}
            textMode={options.textMode}
            text={options.text}
            percentChangeColorMode={options.percentChangeColorMode}
            disableWideLayout={!options.wideLayout}
            width={width}
            height={height}
            theme={theme}
          />
        )}
      />
    );
  },
};
