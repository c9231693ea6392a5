{{/* The HorizontalPodAutoscaler of a group of inference pods. For undertone.forPods. */}}
{{- define "undertone.inferenceHpa" -}}
{{- $component := dict "root" . "component" .component }}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "undertone.componentName" $component }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "undertone.labels" $component | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "undertone.componentName" $component }}
  minReplicas: {{ .Values.autoscaling.minReplicas }}
  maxReplicas: {{ .Values.autoscaling.maxReplicas }}
  metrics:
    # The model server only: unused CPU of the sidecar would hide a saturated model server.
    - type: ContainerResource
      containerResource:
        container: model-server
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ include "undertone.cpuPercent" . }}
  behavior:
    {{- toYaml .Values.autoscaling.behavior | nindent 4 }}
{{- end }}
