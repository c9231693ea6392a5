{{/* Parts of Envoy's configuration that authenticate, identify and limit callers. */}}

{{/* The reply to a call that exceeds a rate limit. */}}
{{- define "undertone.envoy.rateLimitReply" -}}
filter_enabled: {default_value: {numerator: 100}}
filter_enforced: {default_value: {numerator: 100}}
rate_limited_as_resource_exhausted: true
response_headers_to_add:
  - header: {key: grpc-retry-pushback-ms, value: "1000"}
  - header: {key: retry-after, value: "1"}
{{- end }}

{{/*
The source of the caller's identity: `callers.identity`, or what "auto" stands for. With "authentication", the
filter of the authentication sets the header.
*/}}
{{- define "undertone.envoy.identitySource" -}}
{{- $envoy := .Values.loadBalancer.envoy -}}
{{- if ne $envoy.callers.identity "auto" -}}
{{ $envoy.callers.identity }}
{{- else if ne $envoy.authentication.type "none" -}}
authentication
{{- else if $envoy.tls.clientCASecretName -}}
certificate
{{- else -}}
address
{{- end }}
{{- end }}

{{/*
The format of the caller's identity. The address is the fallback. An IPv6 address is reduced to the first 64
bits, because a caller can use all addresses of its network.
*/}}
{{- define "undertone.envoy.callerIdentity" -}}
{{- $address := dict "command" "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT" "param" "64" -}}
{{- $source := include "undertone.envoy.identitySource" . -}}
{{- $operators := list $address -}}
{{- if eq $source "certificate" -}}
{{- $operators = list "DOWNSTREAM_PEER_URI_SAN" "DOWNSTREAM_PEER_DNS_SAN" "DOWNSTREAM_PEER_SUBJECT" $address -}}
{{- else if eq $source "header" -}}
{{- $operators = list (dict "command" "REQ" "param" .Values.loadBalancer.envoy.callers.header "max_length" 128) $address -}}
{{- end -}}
%COALESCE({{ dict "operators" $operators | toJson }})%
{{- end }}

{{/* Disables the filters with these names for a route. */}}
{{- define "undertone.envoy.without" -}}
{{- range . }}
{{ . }}:
  "@type": type.googleapis.com/envoy.config.route.v3.FilterConfig
  disabled: true
{{- end }}
{{- end }}

{{/*
Disables filters for a route whose calls need no limit: health and reflection. Health needs no credentials
either, because load balancers that check it have none.
*/}}
{{- define "undertone.envoy.exemptions" -}}
{{- $envoy := .root.Values.loadBalancer.envoy -}}
{{- $names := list -}}
{{- if $envoy.rateLimit.callsPerSecond }}{{ $names = append $names "envoy.filters.http.local_ratelimit" }}{{ end -}}
{{- if $envoy.rateLimit.perCaller.callsPerSecond }}{{ $names = append $names "undertone.rate_limit_per_caller" }}{{ end -}}
{{- if and (eq .route "health") (ne $envoy.authentication.type "none") }}{{ $names = append $names "undertone.authentication" }}{{ end -}}
{{- include "undertone.envoy.without" $names }}
{{- end }}
