variable "name" {
  description = "Name of the role and of the instance profile."
  type        = string
  default     = "ecr-refresher"
}

variable "repository_arns" {
  description = "Repositories that may be pulled from, e.g. arn:aws:ecr:us-east-1:123456789012:repository/web_scraper."
  type        = list(string)
}

variable "partner_role_arns" {
  description = "Roles in other accounts to assume: the settings' role_arn."
  type        = list(string)
  default     = []
}

variable "instance_profile" {
  description = "Whether to create an instance profile for EC2 hosts. Launch them with http_put_response_hop_limit = 2."
  type        = bool
  default     = false
}

variable "eks_cluster" {
  description = "The EKS cluster, for Pod Identity."
  type        = string
  default     = null
}

variable "oidc_provider_arn" {
  description = "The cluster's OIDC provider, for IRSA."
  type        = string
  default     = null
}

variable "namespace" {
  description = "The namespace of the ServiceAccount."
  type        = string
  default     = "airflow"
}

variable "service_account" {
  description = "The ServiceAccount that the daemon runs as."
  type        = string
  default     = "ecr-refresher"
}
