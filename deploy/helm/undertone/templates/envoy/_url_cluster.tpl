{{/*
A cluster of Envoy for the server of a URL. With https, Envoy verifies the certificate of the server.
Argument: (dict "name" "traces" "url" "http://collector:4317" "defaultPort" 4317 "connectTimeout" "1s").
*/}}
{{- define "undertone.envoy.urlCluster" -}}
{{- $url := urlParse .url -}}
{{- $address := regexReplaceAll ":[0-9]+$" $url.host "" | trimAll "[]" -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default .defaultPort -}}
name: {{ .name }}
cluster_type:
  name: envoy.cluster.strict_dns
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster
    dns_lookup_family: V4_PREFERRED
connect_timeout: {{ .connectTimeout }}
load_assignment:
  cluster_name: {{ .name }}
  endpoints:
    - lb_endpoints:
        - endpoint:
            address:
              socket_address: {address: {{ $address | quote }}, port_value: {{ $port }}}
{{- if eq $url.scheme "https" }}
transport_socket:
  name: envoy.transport_sockets.tls
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
    sni: {{ $address | quote }}
    common_tls_context:
      validation_context:
        # The CA certificates of the Envoy image.
        trusted_ca: {filename: /etc/ssl/certs/ca-certificates.crt}
        match_typed_subject_alt_names:
          - {san_type: DNS, matcher: {exact: {{ $address | quote }}}}
{{- end }}
{{- end }}
