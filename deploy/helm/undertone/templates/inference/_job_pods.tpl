{{/* The pods that the running jobs need, for KEDA. */}}

{{/*
The matcher of the series of this release's jobs. Jobs push them with the name of the job in the label `job` and the
namespace of the release in the label `namespace`.
*/}}
{{- define "undertone.ownJobSeries" -}}
namespace={{ .Release.Namespace | quote }}, job=~"{{ include "undertone.fullname" . }}-(backfill|daily)"
{{- end }}

{{/* The matcher of the series of the jobs that need the pods. Jobs outside this release can be in any namespace. */}}
{{- define "undertone.jobSeries" -}}
{{- with .Values.autoscaling.keda.jobs.names -}}
job=~{{ . | quote }}
{{- else -}}
{{ include "undertone.ownJobSeries" . }}
{{- end }}
{{- end }}

{{/*
The jobs that run, in PromQL, as a suffix of an expression with the label `job`. A Pushgateway keeps the last
metrics of a killed job, which says that it runs. A running job pushes every 15 s.
*/}}
{{- define "undertone.ofRunningJobs" -}}
and on (job) max by (job) (undertone_job_running{ {{- . }}}) == 1 unless on (job) time() - max by (job) (push_time_seconds{ {{- . }}}) > 120
{{- end }}

{{/*
The number of pods, in PromQL. Each running job needs its backlog divided by the time left and by the throughput
of a pod, and at least one pod. A job without --finish-by, or whose backlog is not known yet, needs one pod.
*/}}
{{- define "undertone.jobPodsQuery" -}}
{{- $jobs := .Values.autoscaling.keda.jobs -}}
{{- $series := include "undertone.jobSeries" . -}}
{{- $backlog := printf "max by (job) (undertone_job_backlog_paragraphs{%s})" $series -}}
{{- $left := printf "clamp_min(max by (job) (undertone_job_finish_by_timestamp_seconds{%s} > 0) - time(), %v)" $series $jobs.minSeconds -}}
{{- $pods := printf "clamp_min(%v * %s / on (job) %s / %v, 1)" $jobs.headroom $backlog $left $jobs.paragraphsPerSecond -}}
ceil(sum(({{ $pods }} or on (job) max by (job) (undertone_job_running{ {{- $series }}})) {{ include "undertone.ofRunningJobs" $series }})) or vector(0)
{{- end }}
