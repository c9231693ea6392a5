{{/* The Deployment of a group of inference pods. For undertone.forPods. */}}
{{- define "undertone.inferenceDeployment" -}}
{{- $component := dict "root" . "component" .component }}
{{- $probePort := ternary 50052 50051 (ne .Values.sidecar.tls.secretName "") }}
{{- $name := include "undertone.componentName" $component }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "undertone.labels" $component | nindent 4 }}
spec:
  {{- if eq .Values.autoscaling.type "none" }}
  replicas: {{ .Values.autoscaling.replicas }}
  {{- end }}
  revisionHistoryLimit: {{ .Values.inference.revisionHistoryLimit }}
  # A pod counts as available, and an old pod is stopped for it, once every load balancer knows it.
  minReadySeconds: {{ include "undertone.discoverySeconds" . }}
  progressDeadlineSeconds: {{ include "undertone.progressSeconds" . }}
  strategy:
    rollingUpdate:
      {{- toYaml .Values.inference.strategy | nindent 6 }}
  selector:
    matchLabels:
      {{- include "undertone.selectorLabels" $component | nindent 6 }}
  template:
    metadata:
      # Excludes the version of the chart, because a new chart version alone must not restart pods.
      labels:
        {{- include "undertone.selectorLabels" $component | nindent 8 }}
        {{- with .Values.inference.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        checksum/config: {{ include "undertone.inferenceConfig" . | sha256sum }}
        kubectl.kubernetes.io/default-container: sidecar
        {{- if .Values.monitoring.datadog }}
        {{- include "undertone.datadogAnnotations" . | nindent 8 }}
        {{- end }}
        {{- with .Values.inference.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      {{- include "undertone.podDefaults" (dict "root" . "priorityClassName" .Values.inference.priorityClassName) | nindent 6 }}
      {{- $drainSeconds := add (include "undertone.servingSeconds" . | int) (int .Values.inference.drain.periodSeconds) }}
      terminationGracePeriodSeconds: {{ add $drainSeconds 15 }}
      {{- include "undertone.placement" . | nindent 6 }}
      {{- with .Values.inference.topologySpread }}
      topologySpreadConstraints:
        {{- range . }}
        - {{ toYaml . | nindent 10 | trim }}
          labelSelector:
            matchLabels:
              {{- include "undertone.selectorLabels" $component | nindent 14 }}
          # Counts only pods of the same ReplicaSet, so that a rolling update spreads its new pods.
          matchLabelKeys: [pod-template-hash]
        {{- end }}
      {{- end }}
      initContainers:
        {{- include "undertone.modelContainers" . | nindent 8 }}
        # restartPolicy makes the model server a native sidecar container. Kubernetes starts the
        # container `sidecar` when the startup probe of the model server succeeds, that is, when the
        # model is loaded. Kubernetes stops the model server after `sidecar` has exited, so that all
        # accepted calls are answered.
        - name: model-server
          restartPolicy: Always
          {{- include "undertone.modelServer" . | nindent 10 }}
      containers:
        - name: sidecar
          image: {{ include "undertone.image" (dict "root" . "image" .Values.sidecar.image) }}
          imagePullPolicy: {{ .Values.sidecar.image.pullPolicy }}
          args:
            - --model-dir={{ include "undertone.modelRoot" . }}/{{ .Values.model.name }}
            - --model-name={{ .Values.model.name }}
            - --model-server=unix:///run/undertone/model.sock
            # The sidecar sees only the CPUs of its own container. The number of concurrent calls
            # depends on the CPUs of the model server.
            - --model-server-cpus={{ .Values.modelServer.resources.limits.cpu }}
            # The sidecar refuses a model that needs more memory than the model server has.
            {{- $memory := .Values.modelServer.resources.limits.memory }}
            - --model-server-memory={{ kindIs "string" $memory | ternary $memory (int64 $memory) }}
            - --threads-per-core={{ .Values.modelServer.threadsPerCore }}
            - --host=0.0.0.0
            - --port=50051
            - --metrics-port=9464
            {{- if .Values.sidecar.http.enabled }}
            - --http-port=8080
            {{- end }}
            - --drain-serving-seconds={{ include "undertone.servingSeconds" . }}
            - --drain-delay-seconds={{ .Values.inference.drain.delaySeconds }}
            - --grace-period-seconds={{ $drainSeconds }}
            {{- with .Values.sidecar.tls }}
            {{- if .secretName }}
            - --tls-cert=/etc/undertone/tls/tls.crt
            - --tls-key=/etc/undertone/tls/tls.key
            - --health-port=50052
            {{- end }}
            {{- if .clientCASecretName }}
            - --tls-client-ca=/etc/undertone/client-ca/ca.crt
            {{- end }}
            {{- end }}
            {{- with include "undertone.redisArgs" . }}
            {{- . | nindent 12 }}
            {{- end }}
            {{- if eq .Values.loadBalancer.type "envoy" }}
            # Envoy sets the metadata of every call, and calls arrive only through Envoy.
            - --trust-caller-metadata=true
            # The sidecar accepts every request that Envoy forwards, so that its own limits refuse it.
            - --max-message-bytes={{ int64 .Values.loadBalancer.envoy.maxRequestBytes }}
            {{- end }}
            {{- range $flag, $value := .Values.sidecar.settings }}
            - --{{ $flag }}={{ if kindIs "float64" $value }}{{ $value | toJson }}{{ else }}{{ $value }}{{ end }}
            {{- end }}
          {{- $telemetry := include "undertone.telemetryEnv" (dict "root" . "service" "undertone-sidecar") }}
          {{- if or $telemetry .Values.sidecar.env }}
          env:
            {{- $telemetry | nindent 12 }}
            {{- with .Values.sidecar.env }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          {{- end }}
          ports:
            - {name: grpc, containerPort: 50051}
            - {name: metrics, containerPort: 9464}
            {{- if .Values.sidecar.http.enabled }}
            - {name: http, containerPort: 8080}
            {{- end }}
            {{- if .Values.sidecar.tls.secretName }}
            # Only for the probes, because the kubelet cannot use TLS for gRPC.
            - {name: health, containerPort: 50052}
            {{- end }}
          # The health status is SERVING once the model is warmed up.
          startupProbe:
            grpc: {port: {{ $probePort }}}
            periodSeconds: 2
            timeoutSeconds: 2
            failureThreshold: {{ max 1 (div (int .Values.inference.startupSeconds) 2) }}
          readinessProbe:
            grpc: {port: {{ $probePort }}}
            periodSeconds: 2
            timeoutSeconds: 2
            failureThreshold: 2
          # The health service `liveness` is SERVING even without a model: a restart of the model
          # server must not restart the sidecar.
          livenessProbe:
            grpc: {port: {{ $probePort }}, service: liveness}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
            # A sidecar that hangs cannot drain, so the restart does not wait for the drain.
            terminationGracePeriodSeconds: 15
          resources:
            {{- toYaml .Values.sidecar.resources | nindent 12 }}
          securityContext:
            {{- include "undertone.securityContext" . | nindent 12 }}
          volumeMounts:
            {{- include "undertone.modelMount" . | nindent 12 }}
            - name: socket
              mountPath: /run/undertone
            - name: tmp
              mountPath: /tmp
            {{- if .Values.sidecar.tls.secretName }}
            - {name: tls, mountPath: /etc/undertone/tls, readOnly: true}
            {{- end }}
            {{- if .Values.sidecar.tls.clientCASecretName }}
            - {name: client-ca, mountPath: /etc/undertone/client-ca, readOnly: true}
            {{- end }}
            {{- with include "undertone.redisMounts" . }}
            {{- . | nindent 12 }}
            {{- end }}
            {{- with include "undertone.telemetryMount" . }}
            {{- . | nindent 12 }}
            {{- end }}
      volumes:
        {{- include "undertone.modelVolume" . | nindent 8 }}
        - name: socket
          emptyDir: {medium: Memory, sizeLimit: 1Mi}
        - name: tmp
          emptyDir: {}
        - name: config
          configMap:
            name: {{ $name }}
        {{- with .Values.sidecar.tls.secretName }}
        - name: tls
          secret:
            secretName: {{ . }}
            items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]
        {{- end }}
        {{- with .Values.sidecar.tls.clientCASecretName }}
        - name: client-ca
          secret:
            secretName: {{ . }}
            # ca.crt only: the Secret may also contain the private key of the CA.
            items: [{key: ca.crt, path: ca.crt}]
        {{- end }}
        {{- with include "undertone.redisVolumes" . }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- with include "undertone.telemetryVolume" . }}
        {{- . | nindent 8 }}
        {{- end }}
{{- end }}
