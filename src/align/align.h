/* The stages of alignment. Each begins with the model of the stages before (job->model), goes on from the newest
 * checkpoint below <run>/<stage>/checkpoints, appends to <run>/<stage>/metrics.jsonl and samples.jsonl, and leaves
 * <run>/<stage>/model.h5. */
#ifndef YK_ALIGN_ALIGN_H
#define YK_ALIGN_ALIGN_H

#include "config/job.h"

/* Questions and answers that the pretrained model makes of passages of training documents (align/proposals.h), of which
 * those that pass the gate (align/gate.h) become <run>/propose/train.jsonl, which sft learns from too;
 * propose/report.json counts what was dropped, with samples. The model stays what it was; checkpoints there are none, a
 * killed stage goes on in train.jsonl. Sets summary.propose {passages, asked (proposals), kept, share, dropped {reason:
 * count}, seconds, digest (of the file)}. YK_ERR_INPUT when there is no passage, none fits the context, or nothing
 * passes. */
yk_status yk_propose_stage(const yk_job *job, bool *finished, yk_error *err);

/* Supervised fine-tuning on conversations, loss on answers only. Sets summary.sft {examples, left_out, steps, tokens,
 * heldout_loss{start, end}, heldout_accuracy (answer tokens that are the likeliest, given those before),
 * heldout_exact (answers all of whose tokens are: what greedy decoding would give), seconds, digest}. */
yk_status yk_sft_stage(const yk_job *job, bool *finished, yk_error *err);

/* Learning from a teacher, the model that a larger run made: its answers to prompts, its distributions over the next
 * token, or both (Hinton, Vinyals, Dean 2015; Kim, Rush 2016). Sets summary.distill as yk_sft_stage, and {agreement,
 * agreement_before (held-out answer tokens at which teacher and student find the same the likeliest), parameters,
 * teacher {parameters, heldout_loss, heldout_accuracy, heldout_exact}, sampled {prompts, answers (kept), seconds}}.
 * YK_ERR_INPUT when there is no teacher, or it has another tokenizer. */
yk_status yk_distill_stage(const yk_job *job, bool *finished, yk_error *err);

/* A reward model: the model made so far with a score head, from pairs of answers of which one is preferred. Leaves
 * <run>/reward/model.h5, for ppo; the model of the stages stays what it was. Sets summary.reward {pairs, pair_accuracy
 * (of held-out pairs), pair_accuracy_before, loss, calibration_error, calibration, score_mean, score_std, ...}. */
yk_status yk_reward_stage(const yk_job *job, bool *finished, yk_error *err);

/* Proximal policy optimisation of the model made so far against <run>/reward/model.h5, held near where it began by the
 * divergence's coefficient ppo.kl. Sets summary.ppo {reward_before, reward_after (of held-out prompts),
 * reward_std_before, kl (nats a sequence), entropy_*, length_*, prompts, left_out (too long to be answered), shares
 * {generation, scoring (by the reward model, the reference and the value model), learning} of the seconds, ...}.
 * YK_ERR_NUMERIC when the policy runs away. */
yk_status yk_ppo_stage(const yk_job *job, bool *finished, yk_error *err);
/* Direct preference optimisation of the model made so far, on the same pairs as the reward model. Sets summary.dpo
 * {pairs, pair_accuracy (of held-out pairs: how often the policy moved towards the chosen side), margin and drift
 * (nats), ...}. */
yk_status yk_dpo_stage(const yk_job *job, bool *finished, yk_error *err);

/* Group relative policy optimisation. Sets summary.grpo {steps, problems, heldout, accuracy_before, accuracy_after,
 * format_before, format_after (greedy answers to held-out problems, shares of 1), kl (nats a token from the reference,
 * of the last step), no_signal (share of groups all of whose rewards were equal), by_kind {kind: {before, after, n}},
 * shares {generation, scoring (by the verifier and the reference), learning} of the seconds of steps, rollout_tokens,
 * rollout_tokens_per_s, seconds, verifier {regex_limits, asked, timeouts, crashes, rubbish, starts}, digest}.
 * YK_ERR_NUMERIC when the divergence passes grpo.kl_limit. */
yk_status yk_grpo_stage(const yk_job *job, bool *finished, yk_error *err);

/* Rejection sampling, then a second round of fine-tuning on refine/data.jsonl. Sets summary.refine as yk_sft_stage, and
 * {problems, problems_solved, answers, right, kept, accuracy_before, accuracy_after, format_before, format_after,
 * by_kind, sampling_seconds, verifier}. YK_ERR_INPUT when no answer is right. */
yk_status yk_refine_stage(const yk_job *job, bool *finished, yk_error *err);

/* yk_evaluate_stage, then the tasks: files of evaluate.tasks, and what the stage `questions` has set apart, where the
 * recipe has it and sft. Sets summary.evaluate {tasks {name: what yk_task_measure gives}, contamination: of tasks and
 * of held-out text, what yk_contamination_find gives}. */
yk_status yk_evaluation_stage(const yk_job *job, bool *finished, yk_error *err);

/* The same of the tasks in `paths` alone, by job->model; `chat` as evaluate.chat has it. *into is new, or NULL when the
 * job was to stop. */
yk_status yk_evaluate_tasks(const yk_job *job, const yk_list *paths, const char *chat, json_t **into, yk_error *err);

#endif
