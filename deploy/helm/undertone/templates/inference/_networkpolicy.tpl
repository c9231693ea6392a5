{{/* The NetworkPolicy of a group of inference pods. For undertone.forPods. */}}
{{- define "undertone.inferenceNetworkPolicy" -}}
{{- $component := dict "root" . "component" .component }}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "undertone.componentName" $component }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "undertone.labels" $component | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "undertone.selectorLabels" $component | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - from:
        {{- if eq .Values.loadBalancer.type "envoy" }}
        - podSelector:
            matchLabels:
              {{- include "undertone.selectorLabels" (dict "root" . "component" "envoy") | nindent 14 }}
        {{- else }}
        - podSelector:
            {{- include "undertone.clientPods" . | nindent 12 }}
        {{- with .Values.networkPolicy.clients }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- end }}
      ports:
        - {port: grpc, protocol: TCP}
        {{- if .Values.sidecar.http.enabled }}
        - {port: http, protocol: TCP}
        {{- end }}
    {{- with .Values.networkPolicy.monitoring }}
    - from:
        {{- toYaml . | nindent 8 }}
      ports:
        - {port: metrics, protocol: TCP}
        # By number: Kubernetes does not look up port names in init containers, such as the model
        # server.
        - {port: 8501, protocol: TCP}
    {{- end }}
  egress:
    {{- include "undertone.dnsEgress" . | nindent 4 }}
    {{- if eq .Values.model.source "objectStore" }}
    {{- toYaml .Values.networkPolicy.objectStore | nindent 4 }}
    {{- end }}
    {{- if .Values.sidecar.redis.url }}
    {{- toYaml .Values.networkPolicy.redis | nindent 4 }}
    {{- end }}
    {{- with .Values.networkPolicy.telemetry }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
