-- One row for each paragraph that both tables score with the same text.
CREATE OR REPLACE TEMPORARY VIEW stories_changed_paragraphs AS
SELECT
  scores.id,
  scores.document,
  scores.position,
  scores.text_sha256,
  scores_before.label AS labels_before,
  scores.label AS labels_after,
  scores_before.label <> scores.label AS flipped,
  (
    ABS(COALESCE(CAST(scores.`joy` AS DOUBLE), 0) - COALESCE(CAST(scores_before.`joy` AS DOUBLE), 0)) + ABS(COALESCE(CAST(scores.`sadness` AS DOUBLE), 0) - COALESCE(CAST(scores_before.`sadness` AS DOUBLE), 0)) + ABS(COALESCE(CAST(scores.`anger` AS DOUBLE), 0) - COALESCE(CAST(scores_before.`anger` AS DOUBLE), 0)) + ABS(COALESCE(CAST(scores.`fear` AS DOUBLE), 0) - COALESCE(CAST(scores_before.`fear` AS DOUBLE), 0)) + ABS(
      COALESCE(CAST(scores.`anticipation` AS DOUBLE), 0) - COALESCE(CAST(scores_before.`anticipation` AS DOUBLE), 0)
    ) + ABS(
      COALESCE(CAST(scores.`surprise` AS DOUBLE), 0) - COALESCE(CAST(scores_before.`surprise` AS DOUBLE), 0)
    ) + ABS(COALESCE(CAST(scores.`love` AS DOUBLE), 0) - COALESCE(CAST(scores_before.`love` AS DOUBLE), 0)) + ABS(COALESCE(CAST(scores.`disgust` AS DOUBLE), 0) - COALESCE(CAST(scores_before.`disgust` AS DOUBLE), 0)) + ABS(COALESCE(CAST(scores.`neutral` AS DOUBLE), 0) - COALESCE(CAST(scores_before.`neutral` AS DOUBLE), 0))
  ) / 2.0 AS shift,
  scores_before.model_name || ' ' || CAST(scores_before.model_version AS STRING) || ' ' || scores_before.`precision` || ' (' || scores_before.policy || ')' AS model_before,
  scores.model_name || ' ' || CAST(scores.model_version AS STRING) || ' ' || scores.`precision` || ' (' || scores.policy || ')' AS model_after
FROM undertone.emotions.stories AS scores
JOIN undertone.emotions.stories_before AS scores_before
  ON scores_before.id = scores.id AND scores_before.text_sha256 = scores.text_sha256
WHERE
  scores.deleted_at IS NULL AND scores_before.deleted_at IS NULL
