// Package iface holds the shapes that Temporal passes to auto-scaled workers. No value of them ever reaches anyone here.
package iface

import (
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
)

// ValidationResultFailed is the Status of a spec that did not pass.
const ValidationResultFailed ValidationResult = "failed"

type (
	// ComputeProviderType names a provider.
	ComputeProviderType string

	// ScalingAlgorithmType names an algorithm.
	ScalingAlgorithmType string

	// ValidationResult is the outcome of a validation.
	ValidationResult string

	// ComputeProviderSpec says where workers run.
	ComputeProviderSpec struct {
		ProviderType  ComputeProviderType
		Config        *commonpb.Payload
		NexusEndpoint string
	}

	// ScalingAlgorithmSpec says how many run.
	ScalingAlgorithmSpec struct {
		ScalingAlgorithm ScalingAlgorithmType
		Config           *commonpb.Payload
	}

	// ScalingGroupSpec joins both for some kinds of task.
	ScalingGroupSpec struct {
		TaskTypes []enumspb.TaskQueueType
		Compute   ComputeProviderSpec
		Scaling   *ScalingAlgorithmSpec
	}

	// ScalingGroupSpecUpdate changes the fields of a group that UpdateMask names.
	ScalingGroupSpecUpdate struct {
		Spec       ScalingGroupSpec
		UpdateMask []string
	}

	// WorkerControllerInstanceSpec is every group of one deployment version, by name.
	WorkerControllerInstanceSpec struct {
		ScalingGroupSpecs map[string]ScalingGroupSpec
	}

	// ValidationStatus is the last validation of a spec.
	ValidationStatus struct {
		LastValidationTime time.Time
		Status             ValidationResult
		ErrMessage         string
	}

	// QueryDescribeWorkerControllerInstanceResponse describes an instance.
	QueryDescribeWorkerControllerInstanceResponse struct {
		Spec             *WorkerControllerInstanceSpec
		ValidationStatus *ValidationStatus
	}

	// UpdateWorkerControllerInstanceResponse is the spec after an update.
	UpdateWorkerControllerInstanceResponse struct {
		Spec *WorkerControllerInstanceSpec
	}
)
