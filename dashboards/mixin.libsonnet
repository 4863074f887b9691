// fedimeter's dashboards, alerts and recording rules as a monitoring mixin. The
// YAML and JSON files beside this one are rendered from it, with the defaults of
// mixin/config.libsonnet, and can also be used as they are.
//
//   (import 'fedimeter/dashboards/mixin.libsonnet') + {
//     _config+:: {
//       selector: 'env="prod"',
//       isFleet: true,
//       withoutAlerts: ['FedimeterReportUnresolved'],
//     },
//   }
local alerts =
  (import 'mixin/alerts/servers.libsonnet')
  + (import 'mixin/alerts/people.libsonnet')
  + (import 'mixin/alerts/bridges.libsonnet');

(import 'mixin/config.libsonnet')
+ (import 'mixin/rules.libsonnet')
+ (import 'mixin/dashboards.libsonnet')
+ alerts
+ {
  prometheusAlerts+:: {
    groups: [
      group {
        rules: [
          rule
          for rule in group.rules
          if !std.member($._config.withoutAlerts, rule.alert)
        ],
      }
      for group in super.groups
    ],
  },
}
