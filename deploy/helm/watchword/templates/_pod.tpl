{{- define "watchword.labels" -}}
app.kubernetes.io/name: watchword
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* What every pod of the chart is: the server's and those of the jobs. */}}
{{- define "watchword.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
volumes:
  - name: secrets
    secret:
      secretName: {{ .Values.secret }}
      defaultMode: 0440
      items:
        - { key: database-url, path: database-url }
        - { key: key-passphrase, path: key-passphrase }
  - name: tmp
    emptyDir:
      medium: Memory
      sizeLimit: 64Mi
{{- end -}}

{{- define "watchword.container" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
env:
  - { name: WATCHWORD_ISSUER, value: {{ .Values.issuer | quote }} }
  - { name: WATCHWORD_KEY_STORE, value: database }
  - { name: WATCHWORD_DATABASE_URL_FILE, value: /run/secrets/watchword/database-url }
  - { name: WATCHWORD_KEY_PASSPHRASE_FILE, value: /run/secrets/watchword/key-passphrase }
  {{- /* On a port that no Ingress leads to. */}}
  - { name: WATCHWORD_METRICS_PORT, value: "9090" }
  {{- range $name, $value := .Values.settings }}
  {{- /* As JSON a large number stays a whole one. */}}
  - { name: WATCHWORD_{{ upper $name }}, value: {{ kindIs "string" $value | ternary $value (toJson $value) | quote }} }
  {{- end }}
volumeMounts:
  - { name: secrets, mountPath: /run/secrets/watchword, readOnly: true }
  - { name: tmp, mountPath: /tmp }
resources:
  {{- toYaml .Values.resources | nindent 2 }}
{{- end -}}
