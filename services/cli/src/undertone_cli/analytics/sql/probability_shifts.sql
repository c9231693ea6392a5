-- How the probability of each emotion changed. It is 0 for a model that does not have the emotion.
--
-- emotion: the emotion
-- paragraphs: the number of compared paragraphs
-- mean_before: the mean probability in the older scores
-- mean_after: the mean probability in the newer scores
-- mean_shift: mean_after minus mean_before
-- mean_absolute_shift: the mean of the absolute differences of each paragraph
-- largest_shift: the largest absolute difference
-- gained: the number of compared paragraphs that have the emotion in the newer scores only
-- lost: the number of compared paragraphs that have the emotion in the older scores only
SELECT
  emotion,
  COUNT(*) AS paragraphs,
  AVG(before) AS mean_before,
  AVG(after) AS mean_after,
  AVG(after - before) AS mean_shift,
  AVG(ABS(after - before)) AS mean_absolute_shift,
  MAX(ABS(after - before)) AS largest_shift,
  CAST(SUM(CASE WHEN has_label AND NOT had_label THEN 1 ELSE 0 END) AS BIGINT) AS gained,
  CAST(SUM(CASE WHEN had_label AND NOT has_label THEN 1 ELSE 0 END) AS BIGINT) AS lost
FROM (
  SELECT
    emotions.emotion,
    COALESCE(PROBABILITY_OF(scores_before, emotions.emotion), 0) AS before,
    COALESCE(PROBABILITY_OF(scores, emotions.emotion), 0) AS after,
    HAS_LABEL(scores_before, emotions.emotion) AS had_label,
    HAS_LABEL(scores, emotions.emotion) AS has_label
  FROM scores
  JOIN scores_before ON scores_before.id = scores.id AND scores_before.text_sha256 = scores.text_sha256
  CROSS JOIN ALL_LABELS AS emotions
  WHERE scores.deleted_at IS NULL AND scores_before.deleted_at IS NULL
) AS pairs
GROUP BY emotion
