{{/* The container of the model server, without its name and restartPolicy. */}}
{{- define "undertone.modelServer" -}}
{{- /*
The thread counts are those of `undertone-sidecar plan`. Each concurrent call has one thread
(inter_op). If there are fewer calls than CPUs, the remaining CPUs work inside operations (intra_op).
*/}}
{{- $cpus := include "undertone.quantity" .Values.modelServer.resources.limits.cpu | float64 | floor | int }}
{{- $cores := div $cpus (int .Values.modelServer.threadsPerCore) | max 1 }}
{{- $calls := index .Values.sidecar.settings "model-calls" | default 0 | int | default $cores -}}
image: {{ include "undertone.image" (dict "root" . "image" .Values.modelServer.image) }}
imagePullPolicy: {{ .Values.modelServer.image.pullPolicy }}
command:
  {{- toYaml .Values.modelServer.command | nindent 2 }}
args:
  - --grpc_socket_path=/run/undertone/model.sock
  # For the probes of the kubelet only, because probes cannot use a Unix socket.
  - --port=8500
  - --tensorflow_intra_op_parallelism={{ add1 (sub $cores $calls) | max 1 }}
  - --tensorflow_inter_op_parallelism={{ $calls }}
  - --grpc_max_threads={{ add $calls 8 }}
  {{- with .Values.modelServer.extraArgs }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
env:
  # Kubernetes expands $(MODEL_NAME) and $(MODEL_BASE_PATH) in modelServer.command.
  - {name: MODEL_NAME, value: {{ .Values.model.name | quote }}}
  - {name: MODEL_BASE_PATH, value: "{{ include "undertone.modelRoot" . }}/{{ .Values.model.name }}"}
  {{- $overridden := dict }}
  {{- range .Values.modelServer.env }}{{ $_ := set $overridden .name true }}{{ end }}
  {{- range .Files.Lines "files/model-server.env" }}
  {{- if and . (not (hasPrefix "#" .)) }}
  {{- $pair := splitn "=" 2 . }}
  {{- if not (hasKey $overridden $pair._0) }}
  - {name: {{ $pair._0 }}, value: {{ $pair._1 | quote }}}
  {{- end }}
  {{- end }}
  {{- end }}
  {{- with .Values.modelServer.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
ports:
  - {name: predict, containerPort: 8500}
  - {name: model-metrics, containerPort: 8501}
startupProbe:
  grpc: {port: 8500}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: {{ max 1 (div (int .Values.inference.startupSeconds) 2) }}
# Long timeouts, because a model server that uses all its CPUs answers late.
readinessProbe:
  grpc: {port: 8500}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 3
livenessProbe:
  grpc: {port: 8500}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
resources:
  {{- toYaml .Values.modelServer.resources | nindent 2 }}
securityContext:
  {{- include "undertone.securityContext" . | nindent 2 }}
volumeMounts:
  {{- include "undertone.modelMount" . | nindent 2 }}
  - name: socket
    mountPath: /run/undertone
  - name: config
    mountPath: /etc/undertone
    readOnly: true
  - name: tmp
    mountPath: /tmp
{{- end }}

{{/*
The target of the autoscaler in percent of the CPU request. With two hardware threads for each core, the model
server runs half as many threads, so it can use only half of its CPUs.
*/}}
{{- define "undertone.cpuPercent" -}}
{{- div (int .Values.autoscaling.cpuPercent) (int .Values.modelServer.threadsPerCore) | max 1 }}
{{- end }}
