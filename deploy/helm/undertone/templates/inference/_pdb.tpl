{{/* The PodDisruptionBudget of a group of inference pods. For undertone.forPods. */}}
{{- define "undertone.inferencePdb" -}}
{{- $component := dict "root" . "component" .component }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "undertone.componentName" $component }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "undertone.labels" $component | nindent 4 }}
spec:
  maxUnavailable: {{ .Values.inference.maxUnavailable }}
  # A pod that is not ready serves no calls, so it must not delay the drain of a node.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "undertone.selectorLabels" $component | nindent 6 }}
{{- end }}
