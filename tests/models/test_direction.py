"""One rule for which way a metric is better, by the whole words of its name."""

import pytest

from runs.models.direction import lower_by_name

LOWER = """
    loss val_loss valLoss eval/loss LOSS Loss/train loss.total train-loss loss_2 loss2 top5-error top1Err err errors
    perplexity ppl RMSE rmse_test nRMSE val/Loss word_error_rate wer eval_wer WER test.cer CER answerCER fid FID50k
    mape sMAPE smape wape ece brier brier_score regret bpb bpc val_bpb mse MSELoss L1Loss l1 l2_norm_error nll
    log_loss logloss mlogloss validation_0-logloss binary_logloss merror crossentropy cross_entropy CrossEntropyLoss
    negative_log_likelihood neg_log_likelihood latency latency_p99_ms p95-latency inference_time eval_runtime
    bits_per_byte joules_per_token errors_per_1000 fpr_at_95_recall fpr@95tpr fpr95 false_positive_rate
    precision_loss calibration_error lpips chamfer_distance hallucination_rate per test/per energy_kwh
    generalization_gap valloss testerror memory_mb max_error davies_bouldin edit_distance hd95 deviance
    text_to_image_fid time_to_accuracy number_of_errors time_to_first_token loss@epoch5 cer_on_clean_accuracy_set
"""
HIGHER = """
    accuracy answer_accuracy acc top1_acc confidence f1 f1_cancer glossary_f1 power answer_f1 F1Score f1_score score
    map50 mAP@0.5 mAP50-95 recall_at_20 recall@5 auc roc_auc lossless_ratio error_reduction loss_improvement
    latency_speedup cer_accuracy error_detection_rate error_free_rate tokens_per_joule tokens_per_second samples/s
    train_samples_per_second neg_mean_squared_error neg_log_loss neg_brier_score neg_root_mean_squared_error
    f1_negative neg_f1 true_negative_rate log_likelihood likelihood r2 explained_variance cosine_similarity bleu
    rouge1 psnr ssim reward mean_reward return power_analysis perform performance wernicke cereal_f1 maternity
    fiducial blossom terror_f1 powers accuracy_fp16 reward_so_far accuracy_on_latency_set accuracy_for_error_cases
    découverte 精度 energy_saved 1 @ _
"""


@pytest.mark.parametrize("name", LOWER.split())
def test_less_is_better_of(name):
    assert lower_by_name(name)


@pytest.mark.parametrize("name", [*HIGHER.split(), "", "  "])
def test_more_is_better_of(name):
    assert not lower_by_name(name)
