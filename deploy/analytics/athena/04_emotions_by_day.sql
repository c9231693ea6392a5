-- The mean probability of each emotion on each day, and how often the emotion leads.
CREATE OR REPLACE VIEW emotions.stories_emotions_by_day AS
SELECT
  day,
  model,
  emotion,
  COUNT(*) AS paragraphs,
  AVG(probability) AS mean_probability,
  CAST(SUM(CASE WHEN label = emotion THEN 1 ELSE 0 END) AS BIGINT) AS leading_paragraphs,
  CAST(SUM(CASE WHEN label = emotion THEN 1 ELSE 0 END) AS DOUBLE) / COUNT(*) AS leading_share
FROM emotions.stories_emotions_long AS emotions_long
GROUP BY
  day,
  model,
  emotion
