-- The mean probability of each emotion on each day, and how many paragraphs have the emotion.
CREATE OR REPLACE VIEW emotions.stories_emotions_by_day AS
SELECT
  day,
  model,
  emotion,
  COUNT(*) AS paragraphs,
  AVG(probability) AS mean_probability,
  CAST(SUM(CASE WHEN has_label THEN 1 ELSE 0 END) AS BIGINT) AS labelled_paragraphs,
  CAST(SUM(CASE WHEN has_label THEN 1 ELSE 0 END) AS DOUBLE) / COUNT(*) AS labelled_share,
  CAST(SUM(CASE WHEN label_count = 0 THEN 1 ELSE 0 END) AS BIGINT) AS unlabelled_paragraphs,
  CAST(SUM(CASE WHEN label_count = 0 THEN 1 ELSE 0 END) AS DOUBLE) / COUNT(*) AS unlabelled_share,
  CAST(SUM(CASE WHEN flagged THEN 1 ELSE 0 END) AS BIGINT) AS flagged_paragraphs,
  CAST(SUM(CASE WHEN has_label AND NOT flagged THEN 1 ELSE 0 END) AS DOUBLE) / NULLIF(SUM(CASE WHEN flagged THEN 0 ELSE 1 END), 0) AS unflagged_labelled_share
FROM emotions.stories_emotions_long AS emotions_long
GROUP BY
  day,
  model,
  emotion
