{{- define "fedimeter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "fedimeter.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "fedimeter.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "fedimeter.selector" -}}
app.kubernetes.io/name: {{ include "fedimeter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "fedimeter.labels" -}}
{{ include "fedimeter.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "fedimeter.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "fedimeter.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "fedimeter.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "fedimeter.tokens" -}}
{{- if .Values.tokens.existingSecret -}}
{{- .Values.tokens.existingSecret -}}
{{- else if .Values.tokens.files -}}
{{- include "fedimeter.fullname" . }}-tokens
{{- end -}}
{{- end -}}

{{- define "fedimeter.scheme" -}}
{{- ternary "https" "http" .Values.web.tls -}}
{{- end -}}

{{/* The content of fedimeter.yaml. */}}
{{- define "fedimeter.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- if eq .Values.mode "probe" -}}
{{- $config = mergeOverwrite $config (dict "probe" (dict "enabled" true)) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* Stops the rendering at contradictory values, and says what to change. */}}
{{- define "fedimeter.check" -}}
{{- $monitors := list -}}
{{- range list "serviceMonitor" "podMonitor" "scrapeConfig" "probe" -}}
{{- if (index $.Values .).enabled -}}{{- $monitors = append $monitors . -}}{{- end -}}
{{- end -}}
{{- if and (eq .Values.mode "push") (not .Values.otlp.endpoint) -}}
{{- fail "mode push needs otlp.endpoint" -}}
{{- end -}}
{{- if and (ne .Values.mode "push") .Values.otlp.endpoint -}}
{{- fail "otlp.endpoint is set, and the mode is not push: set mode=push, or each series would be there twice" -}}
{{- end -}}
{{- if and (eq .Values.mode "push") $monitors -}}
{{- fail (printf "mode push and %s.enabled would store each series twice: disable one of them" (first $monitors)) -}}
{{- end -}}
{{- if and .Values.probe.enabled (ne .Values.mode "probe") -}}
{{- fail "probe.enabled needs mode=probe" -}}
{{- end -}}
{{- if and .Values.probe.enabled (not .Values.probe.targets) -}}
{{- fail "probe.enabled needs probe.targets" -}}
{{- end -}}
{{- if and (eq .Values.mode "pull") (gt (len $monitors) 1) -}}
{{- fail (printf "%s would scrape the same page twice: enable one of them" (join " and " $monitors)) -}}
{{- end -}}
{{- if and (ne .Values.mode "push") (gt (int .Values.shards) 1) -}}
{{- fail "shards needs mode=push" -}}
{{- end -}}
{{- end -}}
