{{/* Spark in the pod of a job (runner spark), or with executors in pods of their own (runner kubernetes). */}}

{{/* The chart sets Spark's master. */}}
{{- define "undertone.checkSpark" -}}
{{- $batch := .Values.batch }}
{{- range $batch.sparkSubmitArgs }}
{{- if and (regexMatch `^--(master|conf=spark\.master)(=|$)` .) (eq $batch.runner "kubernetes") }}
{{- fail (printf "batch.sparkSubmitArgs contains %s: remove it, because the chart sets the master (batch.runner is kubernetes)" .) }}
{{- end }}
{{- if and (regexMatch `^--(master|conf=spark\.master)(=|$)` .) (not (regexMatch `=local(\[[^]]+\])?$` .)) }}
{{- fail (printf "batch.sparkSubmitArgs contains %s: use local[N], because batch.runner is %s: Spark runs inside the pod of the job. Set batch.runner=kubernetes for executors in pods of their own; docs/how-to/spark.md describes how to submit jobs to a cluster (yarn)" . $batch.runner) }}
{{- end }}
{{- end }}
{{- if eq $batch.runner "kubernetes" }}
{{- $executors := $batch.executors }}
{{- if gt ($executors.minInstances | int) ($executors.instances | int) }}
{{- fail (printf "batch.executors.minInstances is %d, more than batch.executors.instances (%d): lower the first, or raise the second" (int $executors.minInstances) (int $executors.instances)) }}
{{- end }}
{{- if gt (include "undertone.quantity" $executors.cpuRequest | float64) (include "undertone.quantity" $executors.cpuLimit | float64) }}
{{- fail (printf "batch.executors.cpuRequest is %v, more than batch.executors.cpuLimit (%v): lower the request, or raise the limit" $executors.cpuRequest $executors.cpuLimit) }}
{{- end }}
{{- if and (not $batch.serviceAccount.create) (not $batch.serviceAccount.name) }}
{{- fail "batch.serviceAccount.name is empty: name the service account of the drivers, with the permissions that docs/how-to/spark.md lists, or set batch.serviceAccount.create=true" }}
{{- end }}
{{- $jobs := or $batch.backfill.enabled $batch.daily.enabled }}
{{- if and $jobs .Values.networkPolicy.enabled (not .Values.networkPolicy.kubernetesApi) }}
{{- fail "networkPolicy.kubernetesApi is empty, so the drivers cannot start executors (batch.runner is kubernetes): add an egress rule to the API server, for example [{to: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 443, protocol: TCP}, {port: 6443, protocol: TCP}]}]" }}
{{- end }}
{{- end }}
{{- end }}

{{/* The results need one destination. */}}
{{- define "undertone.checkDestination" -}}
{{- $batch := .Values.batch }}
{{- $catalog := $batch.table.catalog.type }}
{{- $warehouse := include "undertone.warehouse" . }}
{{- $places := compact (list $batch.output.claim $batch.output.url) }}
{{- $elsewhere := and (ne $batch.runner "client") (or $batch.table.warehouse (has $catalog (list "rest" "hive"))) }}
{{- if or (gt (len $places) 1) (and (not $places) (not $elsewhere)) }}
{{- fail "batch.output must have one destination for the results: set either batch.output.claim or batch.output.url" }}
{{- end }}
{{- if ne $batch.runner "client" }}
{{- if and (eq $batch.table.format "parquet") $batch.daily.enabled }}
{{- fail "batch.table.format is parquet, which permits backfills only, but batch.daily.enabled is true: set batch.table.format=iceberg, or batch.daily.enabled=false" }}
{{- end }}
{{- if and (eq $batch.table.format "parquet") (regexMatch "^(s3|gs)[an]?://" $warehouse) }}
{{- fail (printf "batch.table.format is parquet, but the warehouse %s is an object store, where a replacement of the files can be read half done: set batch.table.format=iceberg, or a claim or an HDFS URL" $warehouse) }}
{{- end }}
{{- if and (eq $catalog "sqlite") (or (eq $batch.runner "kubernetes") (regexMatch "://" $warehouse)) }}
{{- fail (printf "batch.table.catalog.type is sqlite, but batch.runner is %s and the warehouse %s: a SQLite catalogue is a file for one pod: set batch.table.catalog.type to glue, rest or hive, or to hadoop with a claim (ReadWriteMany)" $batch.runner $warehouse) }}
{{- end }}
{{- if and (eq $catalog "hadoop") (regexMatch "^(s3|gs)[an]?://" $warehouse) }}
{{- fail (printf "batch.table.catalog.type is hadoop, but the warehouse %s is an object store, where two commits of a Hadoop catalogue can overwrite each other: set batch.table.catalog.type to glue, rest or hive" $warehouse) }}
{{- end }}
{{- if and (has $catalog (list "rest" "hive")) (not $batch.table.catalog.uri) }}
{{- fail (printf "batch.table.catalog.uri is empty: set the address of the catalogue, because batch.table.catalog.type is %s" $catalog) }}
{{- end }}
{{- end }}
{{- end }}

{{/* The folder or URL of the tables. Empty if the catalogue decides. */}}
{{- define "undertone.warehouse" -}}
{{- with .Values.batch -}}
{{ .table.warehouse | default .output.url | default (ternary "/output" "" (not (empty .output.claim))) }}
{{- end }}
{{- end }}

{{/* The options of `undertone-batch run` for the table of scores. */}}
{{- define "undertone.tableArgs" -}}
{{- $table := .Values.batch.table -}}
- {{ printf "--table=%s" $table.name | quote }}
- {{ printf "--table-format=%s" $table.format | quote }}
{{- with include "undertone.warehouse" . }}
- {{ printf "--warehouse=%s" . | quote }}
{{- end }}
- {{ printf "--catalog-type=%s" $table.catalog.type | quote }}
{{- with $table.catalog.uri }}
- {{ printf "--catalog-uri=%s" . | quote }}
{{- end }}
{{- range $name, $value := $table.catalog.options }}
- {{ printf "--catalog-option=%s=%s" $name $value | quote }}
{{- end }}
{{- end }}

{{/* Environment variables that configure Spark. PySpark passes PYSPARK_SUBMIT_ARGS to spark-submit. */}}
{{- define "undertone.sparkEnv" -}}
{{- $batch := .Values.batch }}
{{- $arguments := list }}
{{- if eq $batch.runner "kubernetes" }}
- name: POD_NAME
  valueFrom:
    fieldRef: {fieldPath: metadata.name}
- name: POD_IP
  valueFrom:
    fieldRef: {fieldPath: status.podIP}
{{- $arguments = include "undertone.sparkOnKubernetes" . | fromYamlArray }}
{{- end }}
{{- if and (ne $batch.runner "client") (or $arguments $batch.sparkSubmitArgs) }}
{{- $quoted := list }}
{{- range concat $arguments $batch.sparkSubmitArgs }}
{{- $quoted = append $quoted (squote .) }}
{{- end }}
- name: PYSPARK_SUBMIT_ARGS
  value: {{ append $quoted "pyspark-shell" | join " " | quote }}
{{- end }}
{{- end }}

{{/*
Options of spark-submit for a driver in the pod of the job (client mode). Kubernetes replaces $(POD_NAME) and
$(POD_IP). Executors reach the driver by the address of its pod. A Service would select the pods of all
attempts of a Job.
*/}}
{{- define "undertone.sparkOnKubernetes" -}}
{{- $batch := .Values.batch -}}
{{- $executors := $batch.executors -}}
- --master=k8s://https://kubernetes.default.svc
- --conf=spark.kubernetes.namespace={{ .Release.Namespace }}
- --conf=spark.kubernetes.container.image={{ include "undertone.image" (dict "root" . "image" $batch.image) }}
- --conf=spark.kubernetes.container.image.pullPolicy={{ $batch.image.pullPolicy }}
- --conf=spark.kubernetes.driver.pod.name=$(POD_NAME)
- --conf=spark.kubernetes.authenticate.executor.serviceAccountName={{ include "undertone.serviceAccountName" . }}
- --conf=spark.kubernetes.executor.podTemplateFile=/etc/undertone/spark/executor.yaml
- --conf=spark.kubernetes.executor.podTemplateContainerName=executor
- --conf=spark.kubernetes.executor.podNamePrefix=$(POD_NAME)
# The executors get their settings from the driver, not from a ConfigMap.
- --conf=spark.kubernetes.executor.disableConfigMap=true
- --conf=spark.kubernetes.driver.service.deleteOnTermination=false
- --conf=spark.kubernetes.driver.ownPersistentVolumeClaim=false
- --conf=spark.kubernetes.driver.reusePersistentVolumeClaim=false
- --conf=spark.driver.host=$(POD_IP)
- --conf=spark.driver.port=7078
- --conf=spark.driver.blockManager.port=7079
- --conf=spark.blockManager.port=7079
# Only the executors of this driver, which know its secret, may call the driver and each other.
- --conf=spark.authenticate=true
- --conf=spark.network.crypto.enabled=true
- --conf=spark.executor.cores={{ $executors.cores }}
- --conf=spark.executor.memory={{ $executors.memory }}
- --conf=spark.executor.memoryOverhead={{ $executors.memoryOverhead }}
- --conf=spark.kubernetes.executor.request.cores={{ $executors.cpuRequest }}
- --conf=spark.kubernetes.executor.limit.cores={{ $executors.cpuLimit }}
{{- if kindIs "invalid" $executors.minInstances }}
- --conf=spark.executor.instances={{ $executors.instances }}
{{- else }}
- --conf=spark.dynamicAllocation.enabled=true
# Executors keep their shuffle files, because Kubernetes has no shuffle service.
- --conf=spark.dynamicAllocation.shuffleTracking.enabled=true
- --conf=spark.dynamicAllocation.minExecutors={{ $executors.minInstances }}
- --conf=spark.dynamicAllocation.maxExecutors={{ $executors.instances }}
{{- end }}
# An executor whose pod is deleted, for example on a spot node, moves its shuffle files to others.
- --conf=spark.decommission.enabled=true
- --conf=spark.storage.decommission.enabled=true
- --conf=spark.storage.decommission.shuffleBlocks.enabled=true
- --conf=spark.storage.decommission.rddBlocks.enabled=true
- --conf=spark.kubernetes.executor.terminationGracePeriodSeconds={{ $executors.terminationGracePeriodSeconds }}s
{{- end }}

{{/* The service account of the pods of jobs. Empty for the service account of the release. */}}
{{- define "undertone.driverServiceAccountName" -}}
{{- if eq .Values.batch.runner "kubernetes" -}}
{{- .Values.batch.serviceAccount.name | default (include "undertone.componentName" (dict "root" . "component" "driver")) }}
{{- end }}
{{- end }}
