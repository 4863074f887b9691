{{/* The pod of the Deployment and of the StatefulSet. */}}
{{- define "fedimeter.pod" -}}
metadata:
  labels:
    # Not the chart's version, so that a new chart with the same program restarts no pod.
    {{- include "fedimeter.selector" . | nindent 4 }}
    app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- if or .Values.podAnnotations (eq .Values.reload "restart") }}
  annotations:
    {{- if eq .Values.reload "restart" }}
    checksum/config: {{ include "fedimeter.config" . | sha256sum }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
spec:
  serviceAccountName: {{ include "fedimeter.serviceAccount" . }}
  # The bridge does not use the Kubernetes API.
  automountServiceAccountToken: false
  # Without this, Kubernetes sets variables such as FEDIMETER_PORT, which have no use.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  containers:
    - name: fedimeter
      image: {{ include "fedimeter.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      {{- $args := .Values.extraArgs }}
      {{- if and (eq .Values.mode "push") (gt (int .Values.shards) 1) }}
      {{- $args = concat (list "serve" "--shard=$(POD_NAME)" (printf "--total-shards=%d" (int .Values.shards))) $args }}
      {{- else if $args }}
      {{- $args = prepend $args "serve" }}
      {{- end }}
      {{- with $args }}
      args:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      env:
        - name: FEDIMETER_CONFIG
          value: /etc/fedimeter/config/fedimeter.yaml
        - name: FEDIMETER_WATCH_CONFIG
          value: {{ eq .Values.reload "watch" | quote }}
        - name: FEDIMETER_LISTEN
          value: {{ .Values.listen | quote }}
        {{- if .Values.web.existingSecret }}
        - name: FEDIMETER_WEB_CONFIG_FILE
          value: /etc/fedimeter/web/{{ .Values.web.key }}
        # The kubelet sends no password.
        - name: FEDIMETER_WEB_OPEN_HEALTH
          value: "true"
        {{- end }}
        - name: POD_NAME
          valueFrom: {fieldRef: {fieldPath: metadata.name}}
        - name: POD_NAMESPACE
          valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
        - name: NODE_NAME
          valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
        - name: OTEL_RESOURCE_ATTRIBUTES
          value: k8s.namespace.name=$(POD_NAMESPACE),k8s.pod.name=$(POD_NAME),k8s.node.name=$(NODE_NAME)
        {{- if eq .Values.mode "push" }}
        - name: OTEL_EXPORTER_OTLP_ENDPOINT
          value: {{ .Values.otlp.endpoint | quote }}
        - name: OTEL_METRIC_EXPORT_INTERVAL
          value: {{ int .Values.otlp.interval | quote }}
        {{- with .Values.otlp.protocol }}
        - name: OTEL_EXPORTER_OTLP_PROTOCOL
          value: {{ . | quote }}
        {{- end }}
        {{- with .Values.otlp.headersSecret }}
        {{- if .name }}
        - name: OTEL_EXPORTER_OTLP_HEADERS
          valueFrom: {secretKeyRef: {name: {{ .name }}, key: {{ .key }}}}
        {{- end }}
        {{- end }}
        {{- if .Values.otlp.backlog.persistent }}
        - name: FEDIMETER_OTLP_BACKLOG_DIRECTORY
          value: /var/lib/fedimeter/backlog
        {{- end }}
        {{- end }}
        {{- with .Values.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .Values.envFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - name: http
          containerPort: {{ regexFind "[0-9]+$" .Values.listen | int }}
      livenessProbe:
        httpGet: {path: /-/healthy, port: http{{ if .Values.web.tls }}, scheme: HTTPS{{ end }}}
        initialDelaySeconds: 10
        periodSeconds: 15
        timeoutSeconds: 5
        failureThreshold: 4
      readinessProbe:
        # With passwords, the kubelet can request only /-/healthy.
        httpGet: {path: {{ ternary "/-/healthy" "/-/ready" (ne .Values.web.existingSecret "") }}, port: http{{ if .Values.web.tls }}, scheme: HTTPS{{ end }}}
        periodSeconds: 5
        timeoutSeconds: 5
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        {{- toYaml .Values.securityContext | nindent 8 }}
      volumeMounts:
        # Whole directories, because a file mounted by subPath is never updated.
        - {name: config, mountPath: /etc/fedimeter/config, readOnly: true}
        {{- if include "fedimeter.tokens" . }}
        - {name: tokens, mountPath: /etc/fedimeter/tokens, readOnly: true}
        {{- end }}
        {{- if .Values.web.existingSecret }}
        - {name: web, mountPath: /etc/fedimeter/web, readOnly: true}
        {{- end }}
        {{- if and (eq .Values.mode "push") .Values.otlp.backlog.persistent }}
        - {name: backlog, mountPath: /var/lib/fedimeter}
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap: {name: {{ include "fedimeter.fullname" . }}}
    {{- with include "fedimeter.tokens" . }}
    - name: tokens
      secret: {secretName: {{ . }}, defaultMode: 256} # 0400
    {{- end }}
    {{- with .Values.web.existingSecret }}
    - name: web
      secret: {secretName: {{ . }}, defaultMode: 256} # 0400
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
