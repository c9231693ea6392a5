{{/* Jobs that score whole collections. */}}

{{/*
The spec of a Job.
Argument: (dict "root" $ "component" "backfill" "job" .Values.batch.backfill).
*/}}
{{- define "undertone.scoreJob" -}}
{{- $batch := .root.Values.batch -}}
{{- $component := dict "root" .root "component" .component -}}
{{- if not .job.inputs }}
{{- fail (printf "batch.%s.inputs is empty: name the inputs, for example [/input/posts.parquet]" .component) }}
{{- end }}
{{- include "undertone.checkDestination" .root }}
{{- if and .root.Values.networkPolicy.enabled (not .root.Values.networkPolicy.objectStore) (or $batch.output.url (regexMatch "://" (join " " .job.inputs)) (and (ne $batch.runner "client") (regexMatch "://" (include "undertone.warehouse" .root)))) }}
{{- fail (printf "networkPolicy.objectStore is empty, so batch.%s cannot reach its bucket: add an egress rule, for example [{to: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: 443, protocol: TCP}]}]" .component) }}
{{- end -}}
activeDeadlineSeconds: {{ int .job.deadlineSeconds }}
backoffLimit: {{ .job.retries }}
podFailurePolicy:
  rules:
    # Evictions do not count as failures.
    - action: Ignore
      onPodConditions: [{type: DisruptionTarget, status: "True"}]
    # Exit code 2: options, inputs or the output directory are invalid. A retry would fail again.
    - action: FailJob
      onExitCodes: {containerName: score, operator: In, values: [2]}
template:
  metadata:
    labels:
      {{- include "undertone.selectorLabels" $component | nindent 6 }}
  spec:
    {{- include "undertone.podDefaults" (dict "root" .root "priorityClassName" $batch.priorityClassName "serviceAccountName" (include "undertone.driverServiceAccountName" .root)) | nindent 4 }}
    restartPolicy: Never
    {{- pick $batch "nodeSelector" "tolerations" "affinity" | toYaml | nindent 4 }}
    {{- $score := dict "root" .root "job" .job "component" .component }}
    {{- if and $batch.output.url (eq $batch.runner "client") }}
    initContainers:
      {{- include "undertone.scoreContainer" $score | nindent 6 }}
    containers:
      {{- include "undertone.copyContainer" (dict "root" .root "name" "upload" "from" "/output" "to" (include "undertone.remote" $batch.output.url) "resources" $batch.resources "volume" "output" "mountPath" "/output") | nindent 6 }}
    {{- else }}
    containers:
      {{- include "undertone.scoreContainer" $score | nindent 6 }}
    {{- end }}
    volumes:
      {{- include "undertone.jobVolumes" .root | nindent 6 }}
      {{- if eq $batch.runner "kubernetes" }}
      - name: executor
        configMap: {name: {{ include "undertone.componentName" (dict "root" .root "component" "executor") }}}
      {{- end }}
{{- end }}

{{/* The container that scores. It has the same arguments as undertone.scoreJob. */}}
{{- define "undertone.scoreContainer" -}}
{{- $batch := .root.Values.batch -}}
- name: score
  image: {{ include "undertone.image" (dict "root" .root "image" $batch.image) }}
  imagePullPolicy: {{ $batch.image.pullPolicy }}
  {{- if ne $batch.runner "client" }}
  command: [undertone-batch, run, --mode={{ .component }}]
  args:
    {{- include "undertone.tableArgs" .root | nindent 4 }}
    {{- range .job.inputs }}
    - {{ printf "--source=%s" . | quote }}
    {{- end }}
    {{- with .job.args }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- else }}
  {{- if eq .component "daily" }}
  command:
    - /bin/sh
    - -c
    - |
      {{- include "undertone.dailyScript" .root | nindent 6 }}
    - undertone
  {{- else }}
  command: [undertone, score, --out, /output/backfill]
  {{- end }}
  args:
    {{- concat .job.args (list "--") .job.inputs | toYaml | nindent 4 }}
  {{- end }}
  env:
    {{- include "undertone.clientEnv" .root | nindent 4 }}
    {{- include "undertone.jobTelemetryEnv" (dict "root" .root "component" .component) | nindent 4 }}
    - {name: UNDERTONE_PATIENCE, value: {{ $batch.patienceSeconds | toString | quote }}}
    {{- if and (eq $batch.runner "client") (eq .component "daily") }}
    - name: JOB_NAME
      valueFrom:
        fieldRef: {fieldPath: "metadata.labels['batch.kubernetes.io/job-name']"}
    {{- end }}
    {{- include "undertone.sparkEnv" .root | nindent 4 }}
    {{- with $batch.env }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $batch.envFrom }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- $kubernetes := eq $batch.runner "kubernetes" }}
  {{- if or $kubernetes (ne .root.Values.monitoring.monitor "none") }}
  ports:
    {{- if ne .root.Values.monitoring.monitor "none" }}
    - {name: metrics, containerPort: 9464}
    {{- end }}
    {{- if $kubernetes }}
    - {name: driver, containerPort: 7078}
    - {name: blockmanager, containerPort: 7079}
    {{- end }}
  {{- end }}
  resources:
    {{- toYaml $batch.resources | nindent 4 }}
  securityContext:
    {{- include "undertone.securityContext" .root | nindent 4 }}
  volumeMounts:
    {{- include "undertone.jobMounts" .root | nindent 4 }}
    {{- if $kubernetes }}
    - name: executor
      mountPath: /etc/undertone/spark
      readOnly: true
    {{- end }}
{{- end }}

{{/*
The script that scores a day. The directory of the results follows from the name of the Job, so all attempts of
a Job have the same directory, also after midnight. The CronJob names a Job after the minute since 1970 for which
it is scheduled. All such numbers from now on are above 29000000, and dates such as 20261130 below. A Job with
another name, which kubectl has created, has the directory of its name. The script passes its arguments unchanged.
*/}}
{{- define "undertone.dailyScript" -}}
{{- $cronJob := include "undertone.componentName" (dict "root" . "component" "daily") -}}
directory=$JOB_NAME
minutes=$(expr "$JOB_NAME" : '{{ $cronJob }}-\([0-9]\{8\}\)$')
if [ "${minutes:-0}" -ge 29000000 ]; then directory=$(date -u -d "@$((minutes * 60))" +%F); fi
exec undertone score --out "/output/daily/$directory" "$@"
{{- end }}

{{/* The volumes of jobs, and of their executors. */}}
{{- define "undertone.jobVolumes" -}}
{{- include "undertone.clientVolumes" . }}
{{- with include "undertone.telemetryVolume" . }}
{{ . }}
{{- end }}
- name: output
  {{- if .Values.batch.output.claim }}
  persistentVolumeClaim: {claimName: {{ .Values.batch.output.claim }}}
  {{- else }}
  emptyDir: {}
  {{- end }}
{{- with .Values.batch.input.claim }}
- name: input
  persistentVolumeClaim: {claimName: {{ . }}, readOnly: true}
{{- end }}
{{- end }}

{{/* Mounts of the volumes in undertone.jobVolumes. */}}
{{- define "undertone.jobMounts" -}}
{{- include "undertone.clientMounts" . }}
{{- with include "undertone.telemetryMount" . }}
{{ . }}
{{- end }}
- name: output
  mountPath: /output
{{- if .Values.batch.input.claim }}
- name: input
  mountPath: /input
  readOnly: true
{{- end }}
{{- end }}
