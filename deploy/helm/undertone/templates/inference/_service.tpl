{{/* The headless Service of a group of inference pods. For undertone.forPods. */}}
{{- define "undertone.inferenceService" -}}
{{- $component := dict "root" . "component" .component }}
# Headless: DNS returns the addresses of all pods, so that clients can balance each call.
apiVersion: v1
kind: Service
metadata:
  name: {{ include "undertone.componentName" $component }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "undertone.labels" $component | nindent 4 }}
spec:
  clusterIP: None
  {{- if eq .Values.loadBalancer.type "envoy" }}
  # Envoy checks the health of the pods itself. DNS also names pods that are not ready, so that Envoy
  # knows a pod before the pod is ready, although DNS answers may be cached.
  publishNotReadyAddresses: true
  {{- end }}
  selector:
    {{- include "undertone.selectorLabels" $component | nindent 4 }}
  ports:
    - {name: grpc, port: 50051, targetPort: grpc, appProtocol: kubernetes.io/h2c}
    {{- if .Values.sidecar.http.enabled }}
    - {name: http, port: 8080, targetPort: http, appProtocol: {{ ternary "https" "http" (ne .Values.sidecar.tls.secretName "") }}}
    {{- end }}
    - {name: metrics, port: 9464, targetPort: metrics}
    # targetPort is a number: Kubernetes does not look up port names in init containers, such as the
    # model server.
    - {name: model-metrics, port: 8501, targetPort: 8501}
{{- end }}
