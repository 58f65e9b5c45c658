{{- define "ecr-refresher.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "ecr-refresher.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := include "ecr-refresher.name" . }}
{{- contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "ecr-refresher.selectorLabels" -}}
app.kubernetes.io/name: {{ include "ecr-refresher.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: {{ .Values.mode }}
{{- end }}

{{- define "ecr-refresher.labels" -}}
{{ include "ecr-refresher.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "ecr-refresher.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "ecr-refresher.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "ecr-refresher.image" -}}
{{- with .Values.image }}
{{- .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ default $.Chart.AppVersion .tag }}{{ end }}
{{- end }}
{{- end }}

{{/* The settings file: the user's, and for what is not in it, what the mode is for. */}}
{{- define "ecr-refresher.settings" -}}
{{- $settings := deepCopy .Values.config }}
{{- if and (eq .Values.mode "publisher") (not (hasKey $settings "airflow")) }}
{{- $_ := set $settings "airflow" (dict
  "url" "http://airflow-api-server:8080"
  "allow_http" true
  "username" "ecr-refresher"
  "password_file" "/run/secrets/ecr-refresher/password") }}
{{- end }}
{{- if and (eq .Values.mode "node") (not (hasKey $settings "docker")) }}
{{- $_ := set $settings "docker" (dict
  "config_file" "/host/docker-config/config.json"
  "engine" (printf "unix:///host/run/%s" .Values.node.socket)
  "engine_required" true) }}
{{- end }}
{{- with .Values.kubernetes }}
{{- $_ := set $settings "kubernetes" . }}
{{- end }}
{{- if include "ecr-refresher.cleansNodes" . }}
{{- $_ := set $settings "cleanup" (merge $settings.cleanup (dict
  "engine" (printf "unix:///host/run/%s" .Values.node.socket)
  "data_root" "/host/docker-data"
  "state_file" "/host/state/cleanup.json")) }}
{{- end }}
{{- toYaml $settings }}
{{- end }}

{{/* The pull secrets that the pod's own ServiceAccount keeps, as a list; a kubeconfig brings rights of its own. */}}
{{- define "ecr-refresher.pullSecrets" -}}
{{- $found := list }}
{{- if ne .Values.mode "none" }}
{{- $given := (include "ecr-refresher.settings" . | fromYaml).kubernetes | default list }}
{{- range (kindIs "map" $given | ternary (list $given) $given) }}
{{- if not .kubeconfig }}
{{- $found = append $found . }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $found }}
{{- end }}

{{/* The least rights for these pull secrets. A name can't be bound to `create`: it is not known when rights are judged. */}}
{{- define "ecr-refresher.pullSecretRules" -}}
{{- $secrets := list }}
{{- $accounts := list }}
{{- range . }}
{{- $secrets = append $secrets .secret }}
{{- $accounts = concat $accounts (.service_accounts | default list) }}
{{- end }}
- apiGroups: [""]
  resources: [secrets]
  resourceNames: {{ $secrets | uniq | sortAlpha | toJson }}
  verbs: [get, patch]
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
{{- with $accounts | uniq | sortAlpha }}
- apiGroups: [""]
  resources: [serviceaccounts]
  resourceNames: {{ toJson . }}
  verbs: [get, patch]
{{- end }}
{{- end }}

{{/* Where AWS hands out credentials to pods: instance metadata and EKS Pod Identity's agent. */}}
{{- define "ecr-refresher.metadataAddresses" -}}
- 169.254.169.254/32
- fd00:ec2::254/128
- 169.254.170.23/32
- fd00:ec2::23/128
{{- end }}

{{/* Not empty where the server speaks TLS. */}}
{{- define "ecr-refresher.tls" -}}
{{- with .Values.config.server }}{{ .tls_cert }}{{ end }}
{{- end }}

{{/* Not empty where nodes are cleaned up. */}}
{{- define "ecr-refresher.cleansNodes" -}}
{{- if and (eq .Values.mode "node") .Values.config.cleanup }}
{{- if eq (toString .Values.config.cleanup.enabled) "true" }}yes{{ end }}
{{- end }}
{{- end }}

{{/* One container that runs the daemon, of all modes. Takes a list: the context, and the mounts besides the user's. */}}
{{- define "ecr-refresher.container" -}}
{{- $ := index . 0 -}}
- name: ecr-refresher
  image: {{ include "ecr-refresher.image" $ }}
  imagePullPolicy: {{ $.Values.image.pullPolicy }}
  args: [run]
  env:
    - name: ECR_REFRESHER_CONFIG
      value: /etc/ecr-refresher/settings.yaml
    - name: ECR_REFRESHER_LISTEN
      value: {{ printf ":%v" $.Values.port | quote }}
    {{- with include "ecr-refresher.env" $ }}
    {{- . | nindent 4 }}
    {{- end }}
  ports:
    - name: http
      containerPort: {{ $.Values.port }}
  {{- with include "ecr-refresher.probes" (list $ "http" (include "ecr-refresher.tls" $ | empty | not)) }}
  {{- . | nindent 2 }}
  {{- end }}
  resources:
    {{- toYaml $.Values.resources | nindent 4 }}
  securityContext:
    {{- toYaml $.Values.containerSecurityContext | nindent 4 }}
  volumeMounts:
    {{- include "ecr-refresher.ownMounts" $ | nindent 4 }}
    {{- with index . 1 }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{- define "ecr-refresher.env" -}}
{{- $region := .Values.aws.region | empty | ternary list (list (dict "name" "AWS_REGION" "value" .Values.aws.region)) }}
{{- range .Values.env }}
{{- if and (hasKey . "value") (regexMatch "(PASSWORD|TOKEN|SECRET_ACCESS_KEY)$" .name) }}
{{- fail (printf "\n\nenv: %s is a secret, and would lie open in the pod; take it from a Secret by valueFrom.secretKeyRef, or use existingSecret" .name) }}
{{- end }}
{{- end }}
{{- with concat $region .Values.env }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{/* Takes a list: the context, the name of the port, and whether TLS is spoken there. */}}
{{- define "ecr-refresher.probes" -}}
{{- $probes := dict }}
{{- $values := (index . 0).Values.probes }}
{{- $port := dict "port" (index . 1) "scheme" (index . 2 | ternary "HTTPS" "HTTP") }}
{{- range $name, $path := dict "startup" "/startupz" "liveness" "/livez" "readiness" "/readyz" }}
{{- $probe := get $values $name }}
{{- $get := merge (dict "path" $path) $port }}
{{- if $probe.enabled }}
{{- $_ := set $probes (print $name "Probe") (merge (dict "httpGet" $get) (omit $probe "enabled")) }}
{{- end }}
{{- end }}
{{- with $probes }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{/* Directories, never subPath: only those see a change of their ConfigMap or Secret. */}}
{{- define "ecr-refresher.ownMounts" -}}
- name: settings
  mountPath: /etc/ecr-refresher
  readOnly: true
{{- if .Values.existingSecret }}
- name: secrets
  mountPath: /run/secrets/ecr-refresher
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "ecr-refresher.ownVolumes" -}}
- name: settings
  configMap:
    name: {{ include "ecr-refresher.fullname" . }}
{{- with .Values.existingSecret }}
- name: secrets
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    optional: true
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What the pods of all modes have in common. */}}
{{- define "ecr-refresher.pod" -}}
serviceAccountName: {{ include "ecr-refresher.serviceAccountName" . }}
automountServiceAccountToken: {{ include "ecr-refresher.pullSecrets" . | fromYamlArray | empty | not }}
enableServiceLinks: false
terminationGracePeriodSeconds: 15
{{- range $key := list "imagePullSecrets" "priorityClassName" "nodeSelector" "affinity" "tolerations" }}
{{- with get $.Values $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{- define "ecr-refresher.podMetadata" -}}
labels:
  {{- include "ecr-refresher.labels" . | nindent 2 }}
  {{- with .Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
