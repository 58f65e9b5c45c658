output "role_arn" {
  description = "For the chart's aws.roleArn (IRSA), a task definition's taskRoleArn, or a partner's trust policy."
  value       = aws_iam_role.ecr_refresher.arn
}

output "instance_profile" {
  description = "For EC2 hosts."
  value       = one(aws_iam_instance_profile.ecr_refresher[*].name)
}
