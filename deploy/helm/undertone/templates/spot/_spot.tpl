{{/* The pods on spot nodes, which serve the batch lane. */}}

{{/*
Renders a template for the pods on spot nodes: with their own nodes and numbers of pods, and with a drain that
ends within the notice. Argument: (dict "root" $ "template" "undertone.inferenceService").
*/}}
{{- define "undertone.forSpot" -}}
{{- $spot := .root.Values.spot -}}
{{- $values := set (deepCopy .root.Values) "nodePool" $spot.nodePool -}}
{{- $root := dict "Values" $values "Release" .root.Release "Chart" .root.Chart "Files" .root.Files "Capabilities" .root.Capabilities "Template" .root.Template -}}
{{- $drain := include "undertone.spotDrain" .root | fromJson -}}
{{- $scaling := dict "replicas" $spot.minReplicas "minReplicas" $spot.minReplicas "maxReplicas" $spot.maxReplicas "keda" (dict "schedules" $spot.schedules) -}}
{{- include "undertone.forPods" (dict "root" $root "component" "inference-spot" "values" (dict "autoscaling" $scaling "inference" (dict "drain" $drain)) "template" .template) }}
{{- end }}

{{/*
The drain of a pod on a spot node, as JSON. Its grace period, with the 15 s for the model server, ends 5 s before
the node: 5 s are for the notice to reach the pod. The pod serves first, as other pods do, if the notice is long
enough. Otherwise it reports NOT_SERVING at once: other pods serve already, or those without spot nodes.
*/}}
{{- define "undertone.spotDrain" -}}
{{- $check := .Values.loadBalancer.envoy.healthCheck -}}
{{- $seconds := sub (int .Values.spot.noticeSeconds) 20 -}}
{{- $period := min (int .Values.inference.drain.periodSeconds) $seconds -}}
{{- $serving := min (include "undertone.servingSeconds" . | int) (sub $seconds $period) -}}
{{- $delay := addf (mulf $check.intervalSeconds $check.unhealthyThreshold) $check.timeoutSeconds | ceil | int -}}
{{- dict "servingSeconds" $serving "delaySeconds" $delay "periodSeconds" $period | toJson }}
{{- end }}

{{- define "undertone.checkSpot" -}}
{{- $spot := .Values.spot }}
{{- if $spot.enabled }}
{{- if ne .Values.loadBalancer.type "envoy" }}
{{- fail (printf "spot.enabled is true, but loadBalancer.type is %s: set it to envoy, because only Envoy sends the batch lane to the spot nodes" .Values.loadBalancer.type) }}
{{- end }}
{{- $drain := include "undertone.spotDrain" . | fromJson }}
{{- if ge (int $drain.delaySeconds) (int $drain.periodSeconds) }}
{{- fail (printf "spot.noticeSeconds is %d, which leaves %v s for the drain of a pod, but the health checks of Envoy need %v s to notice the end of a pod: lower loadBalancer.envoy.healthCheck.intervalSeconds, or raise inference.drain.periodSeconds" (int $spot.noticeSeconds) $drain.periodSeconds $drain.delaySeconds) }}
{{- end }}
{{- $main := printf "%s=%s" .Values.nodePool.key .Values.nodePool.value }}
{{- if eq $main (printf "%s=%s" $spot.nodePool.key $spot.nodePool.value) }}
{{- fail (printf "spot.nodePool and nodePool have the same taint %s: use different values, because the pods of readers must not run on spot nodes" $main) }}
{{- end }}
{{- end }}
{{- end }}
