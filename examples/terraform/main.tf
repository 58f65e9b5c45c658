# The AWS rights of ecr-refresher: a role that may fetch tokens and pull, and assume roles in partners' accounts. `ecr-refresher iam-policy pull` prints the same policy.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

data "aws_iam_policy_document" "pull" {
  statement {
    sid       = "Login"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"] # this action accepts no other resource
  }

  statement {
    sid = "Pull"
    actions = [
      "ecr:BatchGetImage",
      "ecr:GetDownloadUrlForLayer",
    ]
    resources = var.repository_arns
  }

  dynamic "statement" {
    for_each = length(var.partner_role_arns) > 0 ? [1] : []
    content {
      sid       = "Partners"
      actions   = ["sts:AssumeRole", "sts:TagSession"]
      resources = var.partner_role_arns
    }
  }
}

resource "aws_iam_role" "ecr_refresher" {
  name               = var.name
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "pull" {
  name   = "pull"
  role   = aws_iam_role.ecr_refresher.id
  policy = data.aws_iam_policy_document.pull.json
}

# Who may assume this role: EC2 instances, ECS tasks, EKS Pod Identity; with an OIDC provider, IRSA as well.
data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole", "sts:TagSession"]
    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com", "ecs-tasks.amazonaws.com", "pods.eks.amazonaws.com"]
    }
  }

  dynamic "statement" {
    for_each = var.oidc_provider_arn == null ? [] : [var.oidc_provider_arn]
    content {
      actions = ["sts:AssumeRoleWithWebIdentity"]
      principals {
        type        = "Federated"
        identifiers = [statement.value]
      }
      condition {
        test     = "StringEquals"
        variable = "${replace(statement.value, "/^.*oidc-provider\\//", "")}:sub"
        values   = ["system:serviceaccount:${var.namespace}:${var.service_account}"]
      }
      condition {
        test     = "StringEquals"
        variable = "${replace(statement.value, "/^.*oidc-provider\\//", "")}:aud"
        values   = ["sts.amazonaws.com"]
      }
    }
  }
}

# EC2 hosts: the instance profile.
resource "aws_iam_instance_profile" "ecr_refresher" {
  count = var.instance_profile ? 1 : 0
  name  = var.name
  role  = aws_iam_role.ecr_refresher.name
}

# EKS Pod Identity: the ServiceAccount of the chart's release.
resource "aws_eks_pod_identity_association" "ecr_refresher" {
  count           = var.eks_cluster == null ? 0 : 1
  cluster_name    = var.eks_cluster
  namespace       = var.namespace
  service_account = var.service_account
  role_arn        = aws_iam_role.ecr_refresher.arn
}
