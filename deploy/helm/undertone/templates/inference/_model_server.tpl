{{/* The model server's container, but for its name and restartPolicy. */}}
{{- define "undertone.modelServer" -}}
{{- $tfServing := eq .Values.modelServer.kind "tf-serving" }}
{{- /* As `undertone-sidecar plan` has it: a thread for each call, and what is left of the cores inside operations. */}}
{{- $limit := .Values.modelServer.resources.limits.cpu | toString }}
{{- $cores := ternary (div (trimSuffix "m" $limit | int) 1000) ($limit | float64 | floor | int) (hasSuffix "m" $limit) | max 1 }}
{{- $calls := index .Values.sidecar.settings "model-calls" | default 0 | int | default $cores }}
{{- if eq (index .Values.sidecar.settings "batching" | default "" | toString) "passthrough" }}{{ $calls = 1 }}{{ end }}
{{- $image := ternary .Values.modelServer.image .Values.modelServer.standInImage $tfServing -}}
image: {{ include "undertone.image" (dict "root" . "image" $image) }}
imagePullPolicy: {{ $image.pullPolicy }}
{{- if $tfServing }}
# Why not TF Serving itself is written there.
command: [/bin/bash, /etc/undertone/serve.sh, tensorflow_model_server]
{{- end }}
args:
  - --model_config_file=/etc/undertone/models.config
  - --grpc_socket_path=/run/undertone/model.sock
  # For the probes alone, which know no Unix sockets.
  - --port=8500
  - --tensorflow_intra_op_parallelism={{ add1 (sub $cores $calls) | max 1 }}
  - --tensorflow_inter_op_parallelism={{ $calls }}
  # For the metrics.
  - --rest_api_port=8501
  - --monitoring_config_file=/etc/undertone/monitoring.config
  {{- if $tfServing }}
  - --enable_grpc_healthcheck_service=true
  {{- else }}
  - --host=0.0.0.0
  {{- end }}
  {{- with .Values.modelServer.extraArgs }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
env:
  {{- $own := dict }}
  {{- range .Values.modelServer.env }}{{ $_ := set $own .name true }}{{ end }}
  {{- range .Files.Lines "files/model-server.env" }}
  {{- if and . (not (hasPrefix "#" .)) }}
  {{- $pair := splitn "=" 2 . }}
  {{- if not (hasKey $own $pair._0) }}
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
# A model server that computes on all its CPUs answers late.
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
