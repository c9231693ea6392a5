{{/* Jobs that score whole collections. */}}

{{/* Spec of a Job: (dict "root" $ "component" "backfill" "job" .Values.batch.backfill "dated" false). */}}
{{- define "undertone.scoreJob" -}}
{{- $batch := .root.Values.batch -}}
{{- $component := dict "root" .root "component" .component -}}
{{- if not .job.inputs }}
{{- fail (printf "batch.%s.inputs is empty; name what to score, such as [/input/posts.parquet]" .component) }}
{{- end }}
{{- if eq (empty $batch.output.claim) (empty $batch.output.url) }}
{{- fail "batch.output needs either a claim or a url for the results" }}
{{- end -}}
activeDeadlineSeconds: {{ int .job.deadlineSeconds }}
backoffLimit: {{ .job.retries }}
podFailurePolicy:
  rules:
    # An eviction is no failure of the job.
    - action: Ignore
      onPodConditions: [{type: DisruptionTarget, status: "True"}]
    # Options, inputs or the output folder cannot be used: no retry mends that.
    - action: FailJob
      onExitCodes: {containerName: score, operator: In, values: [2]}
template:
  metadata:
    labels:
      {{- include "undertone.selectorLabels" $component | nindent 6 }}
  spec:
    {{- include "undertone.podDefaults" (dict "root" .root "priorityClassName" $batch.priorityClassName) | nindent 4 }}
    restartPolicy: Never
    {{- with $batch.nodeSelector }}
    nodeSelector:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $batch.tolerations }}
    tolerations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $batch.affinity }}
    affinity:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- $folder := ternary "/output/daily/$(date -u +%F)" "/output/backfill" .dated }}
    {{- if $batch.output.url }}
    initContainers:
      {{- include "undertone.scoreContainer" (dict "root" .root "job" .job "folder" $folder) | nindent 6 }}
    containers:
      {{- include "undertone.copyContainer" (dict "root" .root "name" "upload" "from" "/output" "to" (include "undertone.remote" $batch.output.url) "resources" $batch.resources "volume" "output" "mountPath" "/output") | nindent 6 }}
    {{- else }}
    containers:
      {{- include "undertone.scoreContainer" (dict "root" .root "job" .job "folder" $folder) | nindent 6 }}
    {{- end }}
    volumes:
      {{- include "undertone.clientVolumes" .root | nindent 6 }}
      - name: output
        {{- if $batch.output.claim }}
        persistentVolumeClaim: {claimName: {{ $batch.output.claim }}}
        {{- else }}
        emptyDir: {}
        {{- end }}
      {{- with $batch.input.claim }}
      - name: input
        persistentVolumeClaim: {claimName: {{ . }}, readOnly: true}
      {{- end }}
{{- end }}

{{- define "undertone.scoreContainer" -}}
{{- $batch := .root.Values.batch -}}
- name: score
  image: {{ include "undertone.image" (dict "root" .root "image" $batch.image) }}
  imagePullPolicy: {{ $batch.image.pullPolicy }}
  # The shell knows the date; what follows reaches the command as it is.
  command: [/bin/sh, -c, 'exec undertone score --out "{{ .folder }}" "$@"', undertone]
  args:
    {{- concat .job.args (list "--") .job.inputs | toYaml | nindent 4 }}
  env:
    {{- include "undertone.clientEnv" .root | nindent 4 }}
    {{- with $batch.env }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $batch.envFrom }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  resources:
    {{- toYaml $batch.resources | nindent 4 }}
  securityContext:
    {{- include "undertone.securityContext" .root | nindent 4 }}
  volumeMounts:
    {{- include "undertone.clientMounts" .root | nindent 4 }}
    - name: output
      mountPath: /output
    {{- if $batch.input.claim }}
    - name: input
      mountPath: /input
      readOnly: true
    {{- end }}
{{- end }}
