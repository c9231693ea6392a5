{{/* The ConfigMap of a group of inference pods. For undertone.forPods. */}}
{{- define "undertone.inferenceConfigMap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "undertone.componentName" (dict "root" . "component" .component) }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "undertone.labels" (dict "root" . "component" .component) | nindent 4 }}
{{ include "undertone.inferenceConfig" . }}
{{- end }}
