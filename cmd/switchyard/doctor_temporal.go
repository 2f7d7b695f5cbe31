package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/switchyard-ai/switchyard/batch"
	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/webhooks"
)

// examineTemporal looks at what the durable track needs of Temporal.
func (s *server) examineTemporal(ctx context.Context, d *diagnosis) {
	var clock, before, after time.Time
	ran := d.look("temporal", "start and end a run", "give this key or certificate the right to write to the namespace, and look into Temporal's log", func() (_ string, err error) {
		before = d.now()
		clock, err = s.probeRun(ctx)
		after = d.now()
		return "done", err
	})
	if ran {
		d.clock("temporal", clock, before, after)
	}
	d.look("temporal", "search attributes", "run switchyard migrate", func() (string, error) { return s.seeAttributes(ctx) })
	for _, q := range s.queues() {
		d.look("temporal", "task queue "+q.name, "start a `switchyard worker` with SWITCHYARD_WORK="+q.work, func() (string, error) { return s.seeWorkers(ctx, q, d.now()) })
	}
	d.look("temporal", "worker versions", "see --promote in `switchyard help migrate`", func() (string, error) { return s.seeVersions(ctx) })
}

// probeRun starts a run that no worker takes, and ends it. It returns when that was, by Temporal's clock.
func (s *server) probeRun(ctx context.Context) (time.Time, error) {
	const queue = "switchyard-doctor"
	run, err := s.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: id.New("switchyard-doctor-"), TaskQueue: queue, WorkflowExecutionTimeout: time.Minute,
	}, "Doctor")
	if err != nil {
		return time.Time{}, err
	}
	seen, err := s.temporal.DescribeWorkflowExecution(ctx, run.GetID(), run.GetRunID())
	return seen.GetWorkflowExecutionInfo().GetStartTime().AsTime(), errors.Join(err, s.temporal.TerminateWorkflow(ctx, run.GetID(), run.GetRunID(), "doctor has seen it"))
}

// seeAttributes looks for the search attributes, which only the search in Temporal's UI needs unless runs carry them.
func (s *server) seeAttributes(ctx context.Context) (string, error) {
	missing, err := missingAttributes(ctx, s.temporal, s.cfg.Temporal.Namespace)
	switch {
	case refuses(err):
		return "", mild("see in its own console that they are there", "this key may not ask which are registered: %w", err)
	case err != nil:
		return "", err
	case len(missing) == 0:
		return "registered", nil
	case s.cfg.Batch.SearchAttributes:
		return "", fmt.Errorf("missing in namespace %s: %s; runs carry them (batch.search_attributes), so none can begin", s.cfg.Temporal.Namespace, strings.Join(missing, ", "))
	}
	return "", mild("", "not registered: %s; nothing but the search in Temporal's UI needs them", strings.Join(missing, ", "))
}

// A workQueue is a task queue, and who takes what waits there.
type workQueue struct {
	name, work string
	kinds      []enums.TaskQueueType
}

// queues are all that wait for workers.
func (s *server) queues() []workQueue {
	cfg := s.cfg.Batch.WithDefaults()
	const workflows, activities = enums.TASK_QUEUE_TYPE_WORKFLOW, enums.TASK_QUEUE_TYPE_ACTIVITY
	return []workQueue{
		{cfg.TaskQueue, "all or " + string(batch.WorkStore), []enums.TaskQueueType{workflows, activities}},
		{cfg.LLMTaskQueue, "all or " + string(batch.WorkLLM), []enums.TaskQueueType{activities}},
		{cmp.Or(s.cfg.Webhooks.TaskQueue, webhooks.DefaultTaskQueue), "all or " + string(batch.WorkStore), []enums.TaskQueueType{workflows, activities}},
	}
}

// seeWorkers asks who polled the queue; Temporal remembers five minutes.
func (s *server) seeWorkers(ctx context.Context, q workQueue, now time.Time) (string, error) {
	workers := map[string]bool{}
	var latest time.Time
	for _, kind := range q.kinds {
		seen, err := s.temporal.DescribeTaskQueue(ctx, q.name, kind)
		if err != nil {
			return "", err
		}
		if len(seen.GetPollers()) == 0 {
			return "", mild("", "no worker is running: nobody asked for %s here in the last five minutes, and what waits for them waits on", map[enums.TaskQueueType]string{
				enums.TASK_QUEUE_TYPE_WORKFLOW: "workflows", enums.TASK_QUEUE_TYPE_ACTIVITY: "activities",
			}[kind])
		}
		for _, p := range seen.GetPollers() {
			workers[p.GetIdentity()] = true
			if at := p.GetLastAccessTime().AsTime(); at.After(latest) {
				latest = at
			}
		}
	}
	return fmt.Sprintf("%s, seen %v ago", plural(len(workers), "worker"), max(now.Sub(latest), 0).Round(time.Second)), nil
}

// seeVersions looks whether runs reach workers of this configuration's build.
func (s *server) seeVersions(ctx context.Context) (string, error) {
	v := s.cfg.Batch.Versioning
	if v.Deployment == "" {
		return s.seeUnversioned(ctx)
	}
	deployment, err := s.temporal.WorkerDeploymentClient().GetHandle(v.Deployment).Describe(ctx, client.WorkerDeploymentDescribeOptions{})
	if _, unknown := errors.AsType[*serviceerror.NotFound](err); unknown {
		return "", mild("start its workers, then run switchyard migrate --promote", "Temporal knows no deployment %s yet", v.Deployment)
	}
	if err != nil {
		return "", err
	}
	const promote = "once its workers run: switchyard migrate --promote"
	current := deployment.Info.RoutingConfig.CurrentVersion
	switch {
	case current == nil || current.BuildID == "":
		return "", ailment{fmt.Errorf("deployment %s has no current version, so no run begins on its workers", v.Deployment), promote, false}
	case current.BuildID != v.BuildID:
		return "", mild(promote, "runs begin on build %s of deployment %s; this configuration is of build %s", current.BuildID, v.Deployment, v.BuildID)
	}
	return fmt.Sprintf("build %s of deployment %s is the current one", v.BuildID, v.Deployment), nil
}

// seeUnversioned looks whether the queue's runs go to versioned workers, though this configuration's have no version.
func (s *server) seeUnversioned(ctx context.Context) (string, error) {
	queue := s.cfg.Batch.WithDefaults().TaskQueue
	seen, err := s.temporal.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace: s.cfg.Temporal.Namespace, TaskQueue: &taskqueue.TaskQueue{Name: queue}, TaskQueueType: enums.TASK_QUEUE_TYPE_WORKFLOW,
	})
	if err != nil {
		return "", err
	}
	if v := seen.GetVersioningInfo().GetCurrentDeploymentVersion(); v.GetBuildId() != "" {
		return "", ailment{
			fmt.Errorf("runs of the task queue %s go to build %s of deployment %s, and this configuration's workers have no version: they get none", queue, v.GetBuildId(), v.GetDeploymentName()),
			"set batch.versioning (SWITCHYARD_DEPLOYMENT, SWITCHYARD_BUILD_ID), or set the deployment's current version to none with Temporal's own command", false,
		}
	}
	return "not used: every worker takes every run", nil
}
