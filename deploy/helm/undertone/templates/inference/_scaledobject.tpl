{{/* The ScaledObject of a group of inference pods. For undertone.forPods. */}}
{{- define "undertone.inferenceScaledObject" -}}
{{- $component := dict "root" . "component" .component }}
{{- $name := include "undertone.componentName" $component }}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{ $name }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "undertone.labels" $component | nindent 4 }}
spec:
  scaleTargetRef:
    name: {{ $name }}
  minReplicaCount: {{ .Values.autoscaling.minReplicas }}
  maxReplicaCount: {{ .Values.autoscaling.maxReplicas }}
  pollingInterval: {{ .Values.autoscaling.keda.pollingInterval }}
  {{- if eq (int .Values.autoscaling.minReplicas) 0 }}
  cooldownPeriod: {{ .Values.autoscaling.keda.cooldownSeconds }}
  {{- end }}
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        {{- toYaml .Values.autoscaling.behavior | nindent 8 }}
  triggers:
    {{- /* Spot pods serve the batch lane, whose calls may wait. */}}
    {{- if ne .component "inference-spot" }}
    - type: prometheus
      # Value: the result is a time, which must not be divided by the number of pods.
      metricType: Value
      metadata:
        serverAddress: {{ required "autoscaling.keda.prometheusUrl is empty: set it to the URL of the Prometheus that has the metrics of the pods" .Values.autoscaling.keda.prometheusUrl | quote }}
        query: {{ .Values.autoscaling.keda.query | default (printf "(histogram_quantile(0.9, sum by (le) (rate(undertone_queue_seconds_bucket{lane=\"online\", namespace=%q, pod=~\"%s-.*\"}[1m]))) >= 0) or vector(0)" .Release.Namespace $name) | quote }}
        threshold: {{ .Values.autoscaling.keda.queueSeconds | quote }}
        # The default query returns 0 without calls. A custom query may return no result.
        ignoreNullValues: "true"
    {{- end }}
    {{- if and .Values.autoscaling.keda.jobs.enabled (eq .component (ternary "inference-spot" "inference" .Values.spot.enabled)) }}
    - type: prometheus
      # AverageValue and 1: the result of the query is the number of pods.
      metricType: AverageValue
      metadata:
        serverAddress: {{ .Values.autoscaling.keda.prometheusUrl | quote }}
        query: {{ include "undertone.jobPodsQuery" . | quote }}
        threshold: "1"
    {{- end }}
    {{- range .Values.autoscaling.keda.schedules }}
    - type: cron
      metadata: {timezone: {{ .timeZone | quote }}, start: {{ .start | quote }}, end: {{ .end | quote }}, desiredReplicas: {{ .replicas | toString | quote }}}
    {{- end }}
    - type: cpu
      metricType: Utilization
      metadata:
        containerName: model-server
        value: {{ include "undertone.cpuPercent" . | quote }}
{{- end }}
