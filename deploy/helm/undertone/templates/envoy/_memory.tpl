{{/*
The bounds of Envoy's memory in bytes, as JSON:
  heap         the heap beyond which Envoy refuses everything: the limit of the container without `reserved`
  reserved     64 MiB for the program and its threads, 96 MiB for what callers send between two measurements
               (0.05 s), and with API keys 12 MiB for the script that updates them and its volume in memory
  connections  connections at their maximum number, each with 64 KiB for the state of TLS and HTTP/2
  callers      the table of the limits of each caller, 2 KiB for each
*/}}
{{- define "undertone.envoy.memory" -}}
{{- $envoy := .Values.loadBalancer.envoy -}}
{{- $limit := include "undertone.quantity" $envoy.resources.limits.memory | float64 | int64 -}}
{{- $reserved := mul 1048576 (ternary 172 160 (eq $envoy.authentication.type "apiKey")) -}}
{{- $perCaller := $envoy.rateLimit.perCaller -}}
{{- $callers := mul 2048 (ternary (int64 $perCaller.mostCallers) 0 (gt (float64 $perCaller.callsPerSecond) 0.0)) -}}
{{- dict "heap" (sub $limit $reserved) "reserved" $reserved "connections" (mul 65536 (int64 $envoy.maxConnections)) "callers" $callers | toJson -}}
{{- end }}

{{/* The heap must hold all connections, the table of callers and some requests. */}}
{{- define "undertone.checkEnvoyMemory" -}}
{{- $budget := include "undertone.envoy.memory" . | fromJson }}
{{- $envoy := .Values.loadBalancer.envoy }}
{{- $rest := add (int64 $budget.callers) (mul 8 (int64 $envoy.maxRequestBytes)) (mul 16 1048576) }}
{{- $needed := add (mul 2 (int64 $budget.connections)) $rest }}
{{- if and (eq .Values.loadBalancer.type "envoy") (lt (int64 $budget.heap) $needed) }}
{{- $most := div (sub (int64 $budget.heap) $rest) 131072 }}
{{- $least := add 1 (div (add (int64 $budget.reserved) $needed) 1048576) }}
{{- fail (printf "loadBalancer.envoy.resources.limits.memory is %v, too little for loadBalancer.envoy.maxConnections (%d), loadBalancer.envoy.maxRequestBytes (%d) and the callers of rateLimit.perCaller: raise it to %dMi, or lower maxConnections to %d" $envoy.resources.limits.memory (int64 $envoy.maxConnections) (int64 $envoy.maxRequestBytes) $least (max 0 $most)) }}
{{- end }}
{{- end }}
