{{/*
For the pods of other charts; examples/airflow-chart-values.yaml is what these give, written out. In a chart that depends
on this one the context is its subchart's: include "ecr-refresher.sidecar" (index .Subcharts "ecr-refresher").
*/}}

{{/* An item of initContainers: a native sidecar, started before the other containers and stopped after them. */}}
{{- define "ecr-refresher.sidecar" -}}
- name: ecr-refresher
  image: {{ include "ecr-refresher.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  restartPolicy: Always
  args: [run]
  env:
    {{- include "ecr-refresher.sidecarEnv" . | nindent 4 }}
    - name: ECR_REFRESHER_LISTEN
      value: {{ printf ":%v" .Values.port | quote }}
  ports:
    - name: http-ecr
      containerPort: {{ .Values.port }}
  {{- with include "ecr-refresher.probes" (list . "http-ecr" false) }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- include "ecr-refresher.sidecarRest" . | nindent 2 }}
{{- end }}

{{/* An item of initContainers: one docker login before a short-lived pod's work, as with the KubernetesExecutor. */}}
{{- define "ecr-refresher.once" -}}
- name: ecr-refresher
  image: {{ include "ecr-refresher.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args: [once]
  env:
    {{- include "ecr-refresher.sidecarEnv" . | nindent 4 }}
  {{- include "ecr-refresher.sidecarRest" . | nindent 2 }}
{{- end }}

{{/* Items of volumes. */}}
{{- define "ecr-refresher.volumes" -}}
- name: docker-login
  emptyDir:
    medium: Memory
    sizeLimit: 1Mi
{{- with .Values.sidecar.existingConfigMap }}
- name: ecr-refresher-settings
  configMap:
    name: {{ . }}
{{- end }}
{{- with .Values.sidecar.existingSecret }}
- name: ecr-refresher-secrets
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    optional: true
{{- end }}
{{- end }}

{{/* An item of volumeMounts, for the container whose tasks pull images. Not read-only: docker login writes there, too. */}}
{{- define "ecr-refresher.volumeMounts" -}}
- name: docker-login
  mountPath: {{ .Values.sidecar.dockerConfigDirectory }}
{{- end }}

{{- define "ecr-refresher.sidecarEnv" -}}
- name: ECR_REFRESHER_DOCKER_CONFIG
  value: {{ .Values.sidecar.dockerConfigDirectory }}/config.json
{{- with .Values.sidecar.registries }}
- name: ECR_REFRESHER_REGISTRIES
  value: {{ join "," . | quote }}
{{- end }}
{{- if .Values.sidecar.existingConfigMap }}
- name: ECR_REFRESHER_CONFIG
  value: /etc/ecr-refresher/settings.yaml
{{- end }}
{{- with include "ecr-refresher.env" . }}
{{ . }}
{{- end }}
{{- end }}

{{- define "ecr-refresher.sidecarRest" -}}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  {{- $user := dict "runAsUser" .Values.sidecar.runAsUser "runAsGroup" .Values.sidecar.runAsGroup "runAsNonRoot" true }}
  {{- $seccomp := dict "seccompProfile" (dict "type" "RuntimeDefault") }}
  {{- merge $user $seccomp (deepCopy .Values.containerSecurityContext) | toYaml | nindent 2 }}
volumeMounts:
  {{- include "ecr-refresher.volumeMounts" . | nindent 2 }}
  {{- if .Values.sidecar.existingConfigMap }}
  - name: ecr-refresher-settings
    mountPath: /etc/ecr-refresher
    readOnly: true
  {{- end }}
  {{- if .Values.sidecar.existingSecret }}
  - name: ecr-refresher-secrets
    mountPath: /run/secrets/ecr-refresher
    readOnly: true
  {{- end }}
{{- end }}
